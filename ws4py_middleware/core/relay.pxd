cimport cython

from .events cimport MessageReceived
from .machine cimport Machine

cdef object _OPEN
cdef object _CLOSED
cdef double _NEVER
cdef Py_ssize_t _ITEM_COST


cdef class SendMessage:
    cdef public bytes data
    cdef public bint is_text
    cdef public Py_ssize_t cost
    cdef public object _text


@cython.locals(item=SendMessage)
cpdef SendMessage make_item(data, bint is_text)

cpdef get_text(SendMessage item)


cdef class Relay(Machine):
    cdef public tuple _batch
    cdef public object _events
    cdef public object _items
    cdef public list _pieces
    cdef public Py_ssize_t _pieces_size
    cdef public Py_ssize_t _queued
    cdef public bint _said_close
    cdef public Py_ssize_t _max_message_size, _queued_max
    cdef public long long _messages_received, _messages_sent, _messages_dropped
    cdef public long long _bytes_received, _bytes_sent

    cpdef bint has_work(self) except -1
    cpdef Py_ssize_t get_queued(self) except -1
    cpdef Py_ssize_t get_backlog(self) except -1
    cpdef receive_data(self, data, double now, max_frames=*)
    @cython.locals(size=Py_ssize_t, limit=Py_ssize_t)
    cpdef pass_message(self, MessageReceived message, double now)
    cpdef receive_eof(self, double now)
    cpdef next_event(self)
    cpdef send_message(self, data, bint is_text)
    cpdef send_prepared(self, message)
    @cython.locals(count=Py_ssize_t)
    cpdef data_to_send(self)
    @cython.locals(batch=tuple, taken=tuple, message=SendMessage)
    cpdef data_sent(self, Py_ssize_t size, double now)
    @cython.locals(message=SendMessage)
    cpdef _push(self, item)
    @cython.locals(message=SendMessage)
    cpdef _forget(self, items)
    cpdef _check_finished(self)

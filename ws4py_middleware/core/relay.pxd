from .machine cimport Machine

cdef object _OPEN
cdef object _CLOSED


cdef class SendMessage:
    cdef public bytes data
    cdef public bint is_text
    cdef public Py_ssize_t cost
    cdef public object _text


cdef class Relay(Machine):
    cdef public tuple _batch
    cdef public object _counts
    cdef public object _events
    cdef public object _items
    cdef public list _pieces
    cdef public Py_ssize_t _pieces_size
    cdef public Py_ssize_t _queued
    cdef public bint _said_close

    cpdef bint has_work(self) except -1
    cpdef Py_ssize_t get_queued(self) except -1
    cpdef Py_ssize_t get_backlog(self) except -1
    cpdef receive_data(self, data, double now, max_frames=*)
    cpdef receive_eof(self, double now)
    cpdef next_event(self)
    cpdef send_message(self, data, bint is_text)
    cpdef send_prepared(self, message)
    cpdef data_to_send(self)
    cpdef data_sent(self, Py_ssize_t size, double now)
    cpdef _push(self, item)
    cpdef _forget(self, items)
    cpdef _check_finished(self)

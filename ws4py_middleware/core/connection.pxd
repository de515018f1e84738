cimport cython

from .events cimport MessageReceived
from .machine cimport Machine
from .outbox cimport Outbox
from .parser cimport Parser

cdef object _OPEN
cdef object _CLOSED
cdef list _NO_EVENTS
cdef double _NEVER


cdef class Connection(Machine):
    cdef public double _controls_since
    cdef public list _events
    cdef public object _keepalive
    cdef public Py_ssize_t _next
    cdef public Parser _parser
    cdef public Outbox outbox

    cpdef bint has_work(self) except -1
    cpdef Py_ssize_t get_queued(self) except -1
    cpdef Py_ssize_t get_backlog(self) except -1
    @cython.locals(parser=Parser, events=list)
    cpdef receive_data(self, data, double now, max_frames=*)
    cpdef get_room(self, Py_ssize_t size)
    cpdef room_filled(self, Py_ssize_t size, double now)
    cpdef receive_eof(self, double now)
    @cython.locals(position=Py_ssize_t, events=list)
    cpdef next_event(self)
    cpdef send_message(self, data, bint is_text)
    cpdef send_prepared(self, message)
    cpdef data_to_send(self)
    @cython.locals(outbox=Outbox, is_all=bint)
    cpdef data_sent(self, Py_ssize_t size, double now)
    cdef _add(self, list events)
    cdef _reply(self, event)
    cdef _step(self, step)
    cdef _check_finished(self)

from .deadlines cimport Deadlines
from .events cimport MessageReceived

cdef object _OPEN
cdef object _CLOSED


cdef class Machine:
    cdef public object side
    cdef public object policy
    cdef public object state
    cdef public object close_received
    cdef public object close_sent
    cdef public bint finished
    cdef public bint eof_received
    cdef public double opened_at
    cdef public Deadlines deadlines
    cdef public object _meter
    cdef public object _failure
    cdef public double _now

    cpdef bint is_open(self) except -1
    cpdef bint is_closed(self) except -1
    cpdef bint has_work(self) except -1
    cpdef Py_ssize_t get_queued(self) except -1
    cpdef Py_ssize_t get_backlog(self) except -1
    cpdef receive_data(self, data, double now, max_frames=*)
    cpdef pass_message(self, MessageReceived message, double now)
    cpdef get_room(self, Py_ssize_t size)
    cpdef room_filled(self, Py_ssize_t size, double now)
    cpdef receive_eof(self, double now)
    cpdef next_event(self)
    cpdef send_message(self, data, bint is_text)
    cpdef send_prepared(self, message)
    cpdef data_to_send(self)
    cpdef data_sent(self, Py_ssize_t size, double now)
    cpdef next_deadline(self)
    cpdef _note_sent(self, bint is_all, Py_ssize_t size, double now)

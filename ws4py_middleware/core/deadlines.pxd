cdef double _NEVER


cdef class Deadlines:
    cdef object _policy
    cdef double _ping
    cdef double _pong
    cdef public double write_due
    cdef double _close
    cdef double _idle
    cdef double _life
    cdef double _paused
    cdef public bint lifetime_over

    cpdef next(self)
    cpdef bint is_taking(self)
    cpdef message_received(self, double now)
    cpdef write_blocked(self, double now)
    cpdef write_done(self)
    cpdef end(self)

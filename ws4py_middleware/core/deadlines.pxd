cimport cython

from .limits cimport Limits, find_limits, flag

cdef double _NEVER


cdef class _Others:
    cdef double close, idle, life, paused, pong


cdef class Deadlines:
    cdef Limits _limits
    cdef _Others _others
    cdef double _ping
    cdef public double write_due
    cdef public flag lifetime_over

    @cython.locals(when=double, others=_Others)
    cpdef next(self)
    @cython.locals(others=_Others)
    cpdef message_received(self, double now)
    @cython.locals(others=_Others)
    cdef _Others _arm(self)
    cdef _tidy(self, _Others others)

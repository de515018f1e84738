cimport cython
from cpython.pythread cimport PyThread_get_thread_ident, PyThread_type_lock

from .core.limits cimport flag


cpdef double monotonic() except? -1

cpdef unsigned long get_ident() noexcept


cdef class Lock:
    cdef unsigned long owner
    cdef PyThread_type_lock gate
    cdef int depth
    cdef unsigned short waiting
    cdef flag is_gated

    cpdef bint acquire(self, bint blocking=*) except -1
    cpdef release(self)
    cdef int _wait(self, unsigned long me) except -1

    @cython.final
    cdef inline int enter(self) except -1:
        if self.depth or self.waiting:
            self.acquire()
        else:
            self.owner = PyThread_get_thread_ident()
            self.depth = 1
        return 0

    @cython.final
    cdef inline int leave(self) except -1:
        if self.depth == 1 and not self.is_gated:
            self.depth = 0
        else:
            self.release()
        return 0

from cpython.pythread cimport PyThread_type_lock


cpdef double monotonic() except? -1

cpdef unsigned long get_ident() noexcept


cdef class Lock:
    cdef unsigned long owner
    cdef int depth
    cdef int waiting
    cdef bint is_gated
    cdef PyThread_type_lock gate

    cpdef bint acquire(self, bint blocking=*) except -1
    cpdef release(self)
    cdef int _wait(self, unsigned long me) except -1

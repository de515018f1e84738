from libc.stdint cimport uint8_t

cdef Py_ssize_t check_bytes(const uint8_t *data, Py_ssize_t size) noexcept nogil

cpdef bint is_ascii(bytes data) except -1
cpdef check_utf8(data)


cdef class IncrementalUtf8:
    cdef uint8_t _rest[4]
    cdef int _open

    cpdef feed(self, data, bint final=*)
    cdef int feed_bytes(self, const uint8_t *data, Py_ssize_t size, bint final) except -1
    cpdef reset(self)

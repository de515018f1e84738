from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

from .utf8 cimport IncrementalUtf8


cdef class Assembly:
    cdef PyObject *_data
    cdef Py_ssize_t _capacity
    cdef Py_ssize_t _size
    cdef Py_ssize_t _room
    cdef Py_ssize_t _exports
    cdef bint _is_filled
    cdef IncrementalUtf8 _utf8

    cdef int _check_free(self) except -1
    cdef int _reserve(self, Py_ssize_t size, Py_ssize_t more) except -1
    cdef int _resize(self, Py_ssize_t size) except -1
    cdef uint8_t *_end(self) noexcept
    cpdef append(self, bytes data)
    cpdef append_masked(
        self, bytes data, Py_ssize_t start, Py_ssize_t stop, bytes key, Py_ssize_t offset, long long remaining
    )
    cpdef get_room(self, Py_ssize_t size, long long remaining)
    cpdef room_filled(self, Py_ssize_t size, bytes key, Py_ssize_t offset)
    cpdef bytes get_part(self, Py_ssize_t start)
    cpdef bytes finish(self)

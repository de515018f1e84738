from libc.stdint cimport uint8_t

cpdef bytes pack_head(int first, object size, mask_key=*)
cpdef bytes pack(int first, payload, mask_key=*)


cdef class Batch:
    cdef uint8_t *_data
    cdef Py_ssize_t _capacity
    cdef readonly Py_ssize_t size

    cdef int _reserve(self, Py_ssize_t size) except -1
    cpdef Py_ssize_t add(self, int first, bytes payload) except -1
    cpdef bytes take(self)
    cpdef list split(self)


cpdef Batch take_batch()
cpdef give_batch(Batch batch)

from libc.stdint cimport uint8_t, uint32_t

cdef uint32_t read_key(const uint8_t *key) noexcept nogil
cdef uint32_t turn_key(uint32_t key, Py_ssize_t offset) noexcept nogil
cdef void mask_bytes(uint8_t *target, const uint8_t *source, Py_ssize_t size, uint32_t key) noexcept nogil
cdef void mask_in_place(uint8_t *target, Py_ssize_t size, uint32_t key) noexcept nogil

cpdef bytes apply_mask(data, key)
cpdef bytes unmask(bytes data, Py_ssize_t start, Py_ssize_t stop)
cpdef unmask_in_place(room, Py_ssize_t start, Py_ssize_t stop, key)
cpdef bytes rotate_key(bytes key, offset)

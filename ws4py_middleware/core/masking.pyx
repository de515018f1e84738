"""Masking in C: see ``masking.py``, which has the same functions and says what they promise."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

__all__ = ["apply_mask", "rotate_key", "unmask", "unmask_in_place"]


# Words are copied to and from the bytes, because these lie anywhere; a compiler makes one
# instruction of each copy, and of the loops instructions for several words at once. Keys are
# in the order of the bytes, so that neither kind of processor has to turn anything around.


cdef uint32_t read_key(const uint8_t *key) noexcept nogil:
    """Return the four bytes there."""
    cdef uint32_t word
    memcpy(&word, key, 4)
    return word


cdef uint32_t turn_key(uint32_t key, Py_ssize_t offset) noexcept nogil:
    """Return the key for bytes that begin so far into a payload."""
    cdef uint8_t twice[8]
    memcpy(twice, &key, 4)
    memcpy(twice + 4, &key, 4)
    return read_key(twice + (offset & 3))


cdef void mask_bytes(uint8_t *target, const uint8_t *source, Py_ssize_t size, uint32_t key) noexcept nogil:
    """Write the XOR of so many bytes with a key elsewhere; neither may overlap the other."""
    cdef uint64_t wide = (<uint64_t>key << 32) | key
    cdef uint64_t word
    cdef Py_ssize_t words = size >> 3
    cdef Py_ssize_t i
    for i in range(words):
        memcpy(&word, source + 8 * i, 8)
        word ^= wide
        memcpy(target + 8 * i, &word, 8)
    if words:
        # The last eight bytes once more: that is less than to look at each of the rest.
        i = size - 8
        key = turn_key(key, i)
        memcpy(&word, source + i, 8)
        word ^= (<uint64_t>key << 32) | key
        memcpy(target + i, &word, 8)
    else:
        _mask_rest(target, source, 0, size, key)


cdef void mask_in_place(uint8_t *target, Py_ssize_t size, uint32_t key) noexcept nogil:
    """XOR so many bytes with a key where they are."""
    cdef uint64_t wide = (<uint64_t>key << 32) | key
    cdef uint64_t word
    cdef Py_ssize_t words = size >> 3
    cdef Py_ssize_t i
    for i in range(words):
        memcpy(&word, target + 8 * i, 8)
        word ^= wide
        memcpy(target + 8 * i, &word, 8)
    _mask_rest(target, target, words << 3, size, key)


cdef inline void _mask_rest(
    uint8_t *target, const uint8_t *source, Py_ssize_t i, Py_ssize_t size, uint32_t key
) noexcept nogil:
    cdef uint8_t octets[4]
    cdef uint32_t word
    if size & 4:
        memcpy(&word, source + i, 4)
        word ^= key
        memcpy(target + i, &word, 4)
        i += 4
    memcpy(octets, &key, 4)
    while i < size:
        target[i] = source[i] ^ octets[i & 3]
        i += 1


cdef uint32_t _take_key(object key) except? 0:
    cdef bytes octets = key if isinstance(key, bytes) else bytes(memoryview(key))
    if len(octets) != 4:
        raise ValueError(f"a mask key has four bytes, not {len(octets)}")
    return read_key(<const uint8_t *>PyBytes_AS_STRING(octets))


cpdef bytes apply_mask(data, key):
    """Mask or unmask ``data``; it is the same operation."""
    cdef uint32_t word = _take_key(key)
    cdef Py_buffer view
    cdef bytes masked
    if not isinstance(data, bytes):
        try:
            PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        except BufferError:  # its bytes do not lie side by side
            data = bytes(data)
        else:
            try:
                masked = PyBytes_FromStringAndSize(NULL, view.len)
                mask_bytes(<uint8_t *>PyBytes_AS_STRING(masked), <const uint8_t *>view.buf, view.len, word)
            finally:
                PyBuffer_Release(&view)
            return masked
    masked = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(data))
    mask_bytes(
        <uint8_t *>PyBytes_AS_STRING(masked),
        <const uint8_t *>PyBytes_AS_STRING(data),
        PyBytes_GET_SIZE(data),
        word,
    )
    return masked


cpdef bytes unmask(bytes data, Py_ssize_t start, Py_ssize_t stop):
    """Return ``data[start:stop]`` unmasked; the key is in the four bytes before it."""
    if data is None or not 4 <= start <= stop <= PyBytes_GET_SIZE(data):
        raise ValueError(f"there is no payload from {start} to {stop} in {len(data or b'')} bytes")
    cdef const uint8_t *source = <const uint8_t *>PyBytes_AS_STRING(data) + start
    cdef bytes payload = PyBytes_FromStringAndSize(NULL, stop - start)
    mask_bytes(<uint8_t *>PyBytes_AS_STRING(payload), source, stop - start, read_key(source - 4))
    return payload


cpdef unmask_in_place(room, Py_ssize_t start, Py_ssize_t stop, key):
    """Unmask ``room[start:stop]``, where it is."""
    cdef uint32_t word = _take_key(key)
    cdef Py_buffer view
    PyObject_GetBuffer(room, &view, PyBUF_WRITABLE)
    try:
        if not 0 <= start <= stop <= view.len:
            raise ValueError(f"there is nothing from {start} to {stop} in {view.len} bytes")
        mask_in_place(<uint8_t *>view.buf + start, stop - start, word)
    finally:
        PyBuffer_Release(&view)


cpdef bytes rotate_key(bytes key, offset):
    """Return the key for bytes that begin ``offset`` bytes into a payload."""
    cdef int turn = offset & 3
    return key[turn:] + key[:turn]

"""Packing in C: see ``packing.py``, which has the same functions and says what they promise."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from .masking cimport mask_bytes, read_key

from ..exc import FrameTooLargeException

__all__ = ["Batch", "give_batch", "pack", "pack_head", "take_batch"]

# How much memory a batch has at first, and how much one may have that is kept.
cdef enum:
    LEAST = 256
    MOST_KEPT = 16 * 1024  # who waits with one message has all of that

cdef object _TOO_LARGE = 0x8000000000000000


cdef inline int _write_head(uint8_t *head, int first, uint64_t size, int bit) noexcept nogil:
    """Write what stands before a payload, without the key; return how long it is: ten bytes at most."""
    cdef int i
    head[0] = <uint8_t>first
    if size < 126:
        head[1] = <uint8_t>(bit | size)
        return 2
    if size < 0x10000:
        head[1] = <uint8_t>(bit | 126)
        head[2] = <uint8_t>(size >> 8)
        head[3] = <uint8_t>size
        return 4
    head[1] = <uint8_t>(bit | 127)
    for i in range(8):
        head[2 + i] = <uint8_t>(size >> (56 - 8 * i))
    return 10


cdef bytes _check_key(object key):
    cdef bytes octets = key if isinstance(key, bytes) else bytes(memoryview(key))
    if len(octets) != 4:
        raise ValueError(f"a mask key has four bytes, not {len(octets)}")
    return octets


cpdef bytes pack_head(int first, object size, mask_key=None):
    """Build what stands before a payload, the length in its shortest form."""
    cdef uint8_t head[10]
    cdef int length
    if size < 0:
        raise ValueError(f"a payload of {size} bytes")
    if size >= _TOO_LARGE:
        raise FrameTooLargeException(f"a payload of {size} bytes does not fit into one frame")
    length = _write_head(head, first, size, 0 if mask_key is None else 0x80)
    result = PyBytes_FromStringAndSize(<const char *>head, length)
    return result if mask_key is None else result + _check_key(mask_key)


cpdef bytes pack(int first, payload, mask_key=None):
    """Build a frame."""
    cdef Py_buffer view
    if isinstance(payload, bytes):
        return _pack(first, <const uint8_t *>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), mask_key)
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        return _pack(first, <const uint8_t *>view.buf, view.len, mask_key)
    finally:
        PyBuffer_Release(&view)


cdef inline bytes _pack(int first, const uint8_t *payload, Py_ssize_t size, object mask_key):
    cdef uint8_t head[14]
    cdef uint8_t *target
    cdef uint32_t key = 0
    cdef bytes octets
    cdef bytes frame
    cdef int length
    length = _write_head(head, first, size, 0 if mask_key is None else 0x80)
    if mask_key is not None:
        octets = _check_key(mask_key)
        key = read_key(<const uint8_t *>PyBytes_AS_STRING(octets))
        memcpy(head + length, &key, 4)
        length += 4
    frame = PyBytes_FromStringAndSize(NULL, length + size)
    target = <uint8_t *>PyBytes_AS_STRING(frame)
    memcpy(target, head, length)
    if mask_key is None:
        memcpy(target + length, payload, size)
    else:
        mask_bytes(target + length, payload, size, key)
    return frame


cdef class Batch:
    """Frames that leave together, in one piece of memory."""

    def __dealloc__(self):
        PyMem_Free(self._data)

    cdef int _reserve(self, Py_ssize_t size) except -1:
        """Have memory for so many bytes more."""
        cdef Py_ssize_t capacity = max(2 * self._capacity, self.size + size, LEAST)
        cdef void *data = PyMem_Realloc(self._data, capacity)
        if data is NULL:
            raise MemoryError
        self._data = <uint8_t *>data
        self._capacity = capacity
        return 0

    cpdef Py_ssize_t add(self, int first, bytes payload) except -1:
        """Append a frame."""
        cdef Py_ssize_t size = len(payload)  # which knows None
        cdef uint8_t *target
        cdef int length
        if self._capacity - self.size < size + 10:
            self._reserve(size + 10)
        target = self._data + self.size
        length = _write_head(target, first, size, 0)
        memcpy(target + length, PyBytes_AS_STRING(payload), size)
        self.size += length + size
        return length + size


    cpdef bytes take(self):
        """Return all frames, joined; none is left here."""
        cdef Py_ssize_t size = self.size
        self.size = 0
        return PyBytes_FromStringAndSize(<const char *>self._data, size)

    cpdef list split(self):
        """Return all frames, each by itself; none is left here."""
        cdef list frames = []
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t size
        while start < self.size:
            size = _frame_size(self._data + start)
            frames.append(PyBytes_FromStringAndSize(<const char *>self._data + start, size))
            start += size
        self.size = 0
        return frames


cdef Py_ssize_t _frame_size(const uint8_t *frame) noexcept nogil:
    """Return how long one of our own frames is, which is not masked."""
    cdef Py_ssize_t size = frame[1]
    cdef int i
    if size < 126:
        return 2 + size
    if size == 126:
        return 4 + (<Py_ssize_t>frame[2] << 8 | frame[3])
    size = 0
    for i in range(8):
        size = size << 8 | frame[2 + i]
    return 10 + size


# The one that was used last, when it is empty: most turns need one, and no two of them at a time.
cdef Batch _spare = None


cpdef Batch take_batch():
    """Return an empty batch."""
    global _spare
    cdef Batch batch = _spare
    if batch is None:
        return Batch()
    _spare = None
    return batch


cpdef give_batch(Batch batch):
    """Take back a batch that is empty, for whoever needs the next one."""
    global _spare
    if batch._capacity <= MOST_KEPT:
        _spare = batch

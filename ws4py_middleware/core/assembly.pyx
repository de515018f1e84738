"""Assembly in C: see ``assembly.py``, which has the same class and says what it promises."""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from .masking cimport mask_bytes, mask_in_place, read_key, turn_key
from .utf8 cimport IncrementalUtf8

__all__ = ["Assembly"]

cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *data, Py_ssize_t size) except NULL
    char *bytes_of "PyBytes_AS_STRING"(PyObject *data)
    int resize_bytes "_PyBytes_Resize"(PyObject **data, Py_ssize_t size) except -1
    void drop "Py_XDECREF"(PyObject *data)
    void hold "Py_INCREF"(PyObject *data)
    Py_ssize_t references "Py_REFCNT"(PyObject *data)
    Py_ssize_t bytes_size "PyBytes_GET_SIZE"(PyObject *data)
    PyObject *list_item "PyList_GET_ITEM"(object of, Py_ssize_t index)

cdef extern from *:
    """
    /* Other bytes come into it, and another hash: as _PyBytes_Resize() does. */
    #if defined(__GNUC__)
    #pragma GCC diagnostic push
    #pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    #endif
    static void ws4py_forget_hash(PyObject *data) { ((PyBytesObject *)data)->ob_shash = -1; }
    #if defined(__GNUC__)
    #pragma GCC diagnostic pop
    #endif
    """
    void forget_hash "ws4py_forget_hash"(PyObject *data)

# Beside what has come, so much at most is taken ahead of what will come.
cdef Py_ssize_t _STEP = 64 * 1024

# Where room for nothing is.
cdef uint8_t _NOTHING = 0


# The memory of a large payload comes from the system page by page, and goes back when nobody has the payload any
# more; to get it anew for each message costs as much as to fill it. So the last few that were read into are kept,
# and taken again as soon as nobody else has them; what was inflated is not.
cdef enum:
    KEPT = 4

cdef Py_ssize_t _LEAST_KEPT = 256 * 1024
cdef Py_ssize_t _MOST_KEPT = 1024 * 1024
cdef list _kept = []
cdef int _next_kept = 0


cdef int _keep(bytes payload) except -1:
    """Keep the memory of a payload, in the place of another one when there are enough."""
    global _next_kept
    if not _LEAST_KEPT <= PyBytes_GET_SIZE(payload) <= _MOST_KEPT:
        return 0
    if len(_kept) < KEPT:
        _kept.append(payload)
        return 0
    _next_kept = (_next_kept + 1) % KEPT
    _kept[_next_kept] = payload
    return 0


cdef PyObject *_find_kept(Py_ssize_t size) except? NULL:
    """Return memory for a payload of so many bytes, which is the caller's now; ``NULL`` when there is none."""
    cdef int i
    cdef PyObject *found
    if size < _LEAST_KEPT:
        return NULL
    for i in range(len(_kept)):
        found = list_item(_kept, i)
        # More than it needs is given back when it is finished: a little only.
        if references(found) == 1 and size <= bytes_size(found) <= size + (size >> 3):
            hold(found)
            del _kept[i]
            forget_hash(found)
            return found
    return NULL


cdef inline uint32_t _take_key(bytes key, Py_ssize_t offset) except? 0:
    if PyBytes_GET_SIZE(key) != 4:
        raise ValueError(f"a mask key has four bytes, not {len(key)}")
    return turn_key(read_key(<const uint8_t *>PyBytes_AS_STRING(key)), offset)


@cython.no_gc
cdef class Assembly:
    """The pieces of one payload."""

    # _data is a bytes object that nobody else has seen: that one may still be written, and resized. It has
    # _capacity bytes, of which _size have come; the _room behind these is what get_room() has given away.
    # While _exports tells that somebody holds it, nothing moves.

    def __init__(self, is_text):
        if is_text:
            self._utf8 = IncrementalUtf8()

    def __dealloc__(self):
        drop(self._data)

    def __len__(self):
        return self._size

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self._end() if self._room else &_NOTHING, self._room, 0, flags)
        self._exports += 1

    def __releasebuffer__(self, Py_buffer *buffer):
        self._exports -= 1

    cdef int _check_free(self) except -1:
        if self._exports:
            raise BufferError("somebody holds the memory of get_room(), which is to be let go of before")
        self._room = 0
        return 0

    cdef uint8_t *_end(self) noexcept:
        return <uint8_t *>bytes_of(self._data) + self._size

    cdef int _reserve(self, Py_ssize_t size, Py_ssize_t more) except -1:
        """Have memory for so many bytes; else take it, and for so many more."""
        if self._size + size > self._capacity:
            if self._data is NULL:
                self._data = new_bytes(NULL, size + more)
            else:
                self._resize(self._size + size + more)
            self._capacity = self._size + size + more
        return 0

    cdef int _resize(self, Py_ssize_t size) except -1:
        try:
            resize_bytes(&self._data, size)
        except MemoryError:
            self._size = self._capacity = 0  # nothing is left
            raise
        return 0

    cpdef append(self, bytes data):
        """Add bytes as they are."""
        cdef Py_ssize_t size = len(data)
        self._check_free()
        if not size:
            return
        if self._utf8 is not None:
            self._utf8.feed_bytes(<const uint8_t *>PyBytes_AS_STRING(data), size, False)
        self._reserve(size, self._size + size if self._size else 0)
        memcpy(self._end(), PyBytes_AS_STRING(data), size)
        self._size += size

    cpdef append_masked(
        self, bytes data, Py_ssize_t start, Py_ssize_t stop, bytes key, Py_ssize_t offset, long long remaining
    ):
        """Add ``data[start:stop]``, unmasked."""
        cdef Py_ssize_t size = stop - start
        cdef uint8_t *target
        if not 0 <= start <= stop <= len(data):
            raise ValueError(f"there is no piece from {start} to {stop} in {len(data)} bytes")
        self._check_free()
        if not size:
            return
        if self._data is NULL:
            self._data = _find_kept(<Py_ssize_t>min(size + remaining, _MOST_KEPT + 1))
            if self._data is not NULL:
                self._capacity = bytes_size(self._data)
        self._reserve(size, <Py_ssize_t>max(min(remaining, self._size + size + _STEP), 0))
        target = self._end()
        if len(key):
            mask_bytes(
                target, <const uint8_t *>PyBytes_AS_STRING(data) + start, size, _take_key(key, offset)
            )
        else:
            memcpy(target, PyBytes_AS_STRING(data) + start, size)
        if self._utf8 is not None:
            self._utf8.feed_bytes(target, size, False)
        self._size += size

    cpdef get_room(self, Py_ssize_t size, long long remaining):
        """Return memory for what comes next, which is to be let go of before anything else is done."""
        self._check_free()
        size = <Py_ssize_t>max(min(size, remaining), 0)
        remaining = min(remaining, self._size + _STEP)
        if self._size + size > self._capacity and self._size + remaining > self._capacity:
            self._reserve(<Py_ssize_t>remaining, 0)
        self._room = min(size, self._capacity - self._size)
        return PyMemoryView_FromObject(self)

    cpdef room_filled(self, Py_ssize_t size, bytes key, Py_ssize_t offset):
        """Note that the first ``size`` bytes of :meth:`get_room` have come."""
        cdef uint8_t *target
        if not 0 <= size <= self._room:
            raise ValueError(f"{size} bytes have come, into room for {self._room}")
        self._check_free()
        if not size:
            return
        target = self._end()
        if len(key):
            mask_in_place(target, size, _take_key(key, offset))
        if self._utf8 is not None:
            self._utf8.feed_bytes(target, size, False)
        self._is_filled = True
        self._size += size

    cpdef bytes get_part(self, Py_ssize_t start):
        """Return what has come, from ``start`` on."""
        if not 0 <= start < self._size:
            return b""
        return PyBytes_FromStringAndSize(bytes_of(self._data) + start, self._size - start)

    cpdef bytes finish(self):
        """Return the payload, when it is complete; nothing is left here."""
        cdef bytes payload
        self._check_free()
        if self._utf8 is not None:
            self._utf8.feed_bytes(NULL, 0, True)
        if self._data is NULL:
            return b""
        if self._capacity != self._size:
            self._resize(self._size)
        payload = <bytes>self._data
        drop(self._data)
        self._data = NULL
        self._size = self._capacity = 0
        if self._is_filled:
            _keep(payload)
        return payload

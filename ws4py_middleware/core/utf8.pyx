"""UTF-8 in C: see ``utf8.py``, which has the same names and says what they promise."""

import codecs

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from ..exc import TextFrameEncodingException

__all__ = ["IncrementalUtf8", "check_utf8", "is_ascii"]


cdef inline int _sequence(const uint8_t *data, Py_ssize_t size) noexcept nogil:
    """
    Return how long the sequence is that begins here; 0 when it is none.

    Less than 0: how many bytes it lacks. The table is that of RFC 3629 section 4: beside the first byte
    only the second one has bounds of its own, against overlong forms, surrogates and what is too high.
    """
    cdef uint8_t first = data[0]
    cdef uint8_t low = 0x80
    cdef uint8_t high = 0xBF
    cdef int length
    cdef int i
    if first < 0x80:
        return 1
    if first < 0xC2 or first > 0xF4:
        return 0
    if first < 0xE0:
        length = 2
    elif first < 0xF0:
        length = 3
        if first == 0xE0:
            low = 0xA0
        elif first == 0xED:
            high = 0x9F
    else:
        length = 4
        if first == 0xF0:
            low = 0x90
        elif first == 0xF4:
            high = 0x8F
    if size < 2:
        return 1 - length
    if data[1] < low or data[1] > high:
        return 0
    for i in range(2, length):
        if i >= size:
            return i - length
        if data[i] & 0xC0 != 0x80:
            return 0
    return length


cdef inline Py_ssize_t _skip_ascii(const uint8_t *data, Py_ssize_t i, Py_ssize_t size) noexcept nogil:
    """Return where the first byte is that is not ASCII, from ``i`` on; two words at a time."""
    cdef uint64_t word, more
    while i + 16 <= size:
        memcpy(&word, data + i, 8)
        memcpy(&more, data + i + 8, 8)
        if (word | more) & 0x8080808080808080U:
            break
        i += 16
    while i < size and data[i] < 0x80:
        i += 1
    return i


cdef Py_ssize_t check_bytes(const uint8_t *data, Py_ssize_t size) noexcept nogil:
    """Return how many bytes are whole sequences, and the rest may become one; -1 when it may not."""
    cdef Py_ssize_t i = 0
    cdef int length
    while i < size:
        if data[i] < 0x80:
            i = _skip_ascii(data, i, size)
            continue
        length = _sequence(data + i, size - i)
        if length <= 0:
            return i if length else -1
        i += length
    return i


cdef _refuse(const uint8_t *data, Py_ssize_t size, bint final):
    """Raise what is wrong, in the words of Python's decoder."""
    cdef bytes text = PyBytes_FromStringAndSize(<const char *>data, size)
    try:
        codecs.utf_8_decode(text, "strict", final)
    except UnicodeDecodeError as error:
        raise TextFrameEncodingException(f"text is not UTF-8: {error.reason}") from None
    raise TextFrameEncodingException("text is not UTF-8: surrogates are not allowed")


cpdef bint is_ascii(bytes data) except -1:
    """Tell whether bytes are all ASCII, as most texts are, which then need no other check."""
    cdef Py_ssize_t size = len(data)  # which knows None
    cdef const uint8_t *octets = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef uint64_t word, seen = 0
    cdef Py_ssize_t words = size >> 3
    cdef Py_ssize_t i, start = 0
    if size < 8:
        return _skip_ascii(octets, 0, size) == size
    # Many at a time, without a look in between: a compiler takes several words at once then.
    while words:
        for i in range(min(words, 128)):
            memcpy(&word, octets + start + 8 * i, 8)
            seen |= word
        if seen & 0x8080808080808080U:
            return False
        start += 1024
        words -= min(words, 128)
    memcpy(&word, octets + size - 8, 8)
    return not word & 0x8080808080808080U


cpdef check_utf8(data):
    """Check a whole text."""
    cdef Py_buffer view
    cdef bytes text
    if isinstance(data, bytes):
        text = data
        _check_whole(<const uint8_t *>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        return
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        _check_whole(<const uint8_t *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


cdef inline int _check_whole(const uint8_t *data, Py_ssize_t size) except -1:
    if check_bytes(data, size) != size:
        _refuse(data, size, True)
    return 0


cdef class IncrementalUtf8:
    """Check a text that comes in pieces; a code point may be cut anywhere."""

    def __init__(self):
        self._open = 0

    cpdef feed(self, data, bint final=False):
        """Check the next piece."""
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            self.feed_bytes(<const uint8_t *>view.buf, view.len, final)
        finally:
            PyBuffer_Release(&view)

    cdef int feed_bytes(self, const uint8_t *data, Py_ssize_t size, bint final) except -1:
        """Check the next piece, which lies there."""
        cdef Py_ssize_t used
        cdef int length
        # A code point that was cut: it lacks three bytes at most.
        while self._open and size:
            self._rest[self._open] = data[0]
            data += 1
            size -= 1
            length = _sequence(self._rest, self._open + 1)
            if length == 0:
                _refuse(self._rest, self._open + 1, final)
            self._open = 0 if length > 0 else self._open + 1
        used = check_bytes(data, size)
        if used < 0:
            _refuse(data, size, final)
        if used < size:
            self._open = <int>(size - used)
            memcpy(self._rest, data + used, size - used)
        if final and self._open:
            _refuse(self._rest, self._open, True)
        return 0

    cpdef reset(self):
        """Begin a new text."""
        self._open = 0

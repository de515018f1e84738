cimport cython

from .coding cimport Coding
from .limits cimport flag
from .packing cimport Batch, give_batch, pack, pack_head, take_batch
from .prepared cimport PreparedMessage

cdef Py_ssize_t _JOIN_SIZE
cdef Py_ssize_t _APART_FROM
cdef Py_ssize_t _MAX_BUFFERS
cdef int _TEXT_FIRST
cdef int _BINARY_FIRST
cdef int _CLOSE_FIRST
cdef int _PONG_FIRST
cdef int _FIN
cdef int _RSV1


cdef class Outbox:
    cdef public Coding _coding
    cdef public object _make_mask_key
    cdef public Py_ssize_t _high_water
    cdef public object _wire
    cdef public Py_ssize_t _wire_size
    cdef public list _frames
    cdef public Batch _batch
    cdef public bytes _pong
    cdef public list _held
    cdef public Py_ssize_t held_size
    cdef public Py_ssize_t queued
    cdef public Py_ssize_t queued_max
    cdef public long long messages
    cdef public long long dropped
    cdef public long long bytes_sent
    cdef public int _pairs
    cdef public flag _fragmenting

    @cython.locals(coding=Coding, first=int, batch=Batch, small=bytes)
    cpdef push_message(self, data, bint is_text)
    @cython.locals(coding=Coding, first=int)
    cpdef push_prepared(self, PreparedMessage message)
    cpdef push_pong(self, bytes payload)
    @cython.locals(frames=list, count=Py_ssize_t, size=Py_ssize_t)
    cpdef take(self)
    @cython.locals(wire=bytes)
    cdef bytes _take_batch(self, Batch batch)
    @cython.locals(batch=Batch, frames=list)
    cdef _split(self)
    @cython.locals(buffers=list, small=list, count=Py_ssize_t, size=Py_ssize_t)
    cdef _take_apart(self, list frames)
    @cython.locals(queued=Py_ssize_t)
    cpdef bint sent(self, Py_ssize_t size) except -1
    cpdef drop_pong(self)
    cpdef drop_held(self)
    cpdef discard(self)
    cpdef clear(self)
    @cython.locals(frames=list)
    cdef _forget(self, Py_ssize_t index)
    cdef _note_queued(self)
    cdef _frame(self, int first, payload)
    cdef _push(self, frame)


cdef int _first_of(frame) except -1
cdef Py_ssize_t _size_of(frame) except -1
cdef bytes _as_bytes(data)
@cython.locals(count=Py_ssize_t)
cdef _skip(wire, Py_ssize_t size)

cimport cython

from .assembly cimport Assembly
from .coding cimport Coding
from .events cimport make_message
from .limits cimport Limits, find_limits, flag
from .masking cimport unmask
from .utf8 cimport check_utf8, is_ascii

cdef long long _EVENT_COST
cdef long long _ROOM_FROM
cdef long long _NO_LIMIT


cdef class _Partial:
    cdef public bint is_text
    cdef public bint compressed
    cdef public bint fin
    cdef public long long fragments
    cdef public Assembly message
    cdef public Assembly payload
    cdef public long long remaining
    cdef public long long offset
    cdef public bytes key


cdef class Parser:
    cdef public bytes _buffer
    cdef public Coding _coding
    cdef public Limits _limits
    cdef public _Partial _partial
    cdef public object error
    cdef public long long bytes_received
    cdef public long long messages
    cdef public int controls
    cdef public unsigned char _mask_bit
    cdef public flag _closed
    cdef public flag has_more

    @cython.locals(events=list)
    cpdef list feed(self, bytes data, max_frames=*)
    @cython.locals(partial=_Partial)
    cpdef get_room(self, Py_ssize_t size)
    @cython.locals(events=list, partial=_Partial)
    cpdef list room_filled(self, Py_ssize_t size)
    cpdef stop(self, error)
    @cython.locals(
        position=Py_ssize_t,
        end=Py_ssize_t,
        start=Py_ssize_t,
        used=Py_ssize_t,
        count=Py_ssize_t,
        budget="long long",
        limit="long long",
        size="long long",
        mask_bit=int,
        first=int,
        is_plain=bint,
        payload=bytes,
    )
    cdef Py_ssize_t _parse(self, bytes data, list events, long long frames) except -1
    cdef _check_head(self, int first, int second)
    @cython.locals(limits=Limits, partial=_Partial)
    cdef _check_size(self, int first, long long size)
    @cython.locals(stop=Py_ssize_t, payload=bytes, opcode=int)
    cdef Py_ssize_t _control_frame(
        self, bytes data, int first, Py_ssize_t start, Py_ssize_t size, Py_ssize_t end, list events
    ) except -1
    @cython.locals(partial=_Partial)
    cdef _begin_frame(self, int first, long long size, bytes key)
    @cython.locals(partial=_Partial, size="long long", stop=Py_ssize_t)
    cdef Py_ssize_t _continue_frame(self, bytes data, Py_ssize_t position, Py_ssize_t end, list events) except -1
    @cython.locals(message=Assembly, payload=Assembly)
    cdef _end_frame(self, _Partial partial, list events)
    @cython.locals(coding=Coding, limit="long long", data=bytes)
    cdef bytes _inflate(self, bytes payload, bint fin, Py_ssize_t size)


cdef long long _read_long(bytes data, Py_ssize_t position) except -1

cimport cython

from .core.events cimport MessageReceived, make_message
from .core.relay cimport SendMessage, get_text
from .native cimport Lock, get_ident, monotonic
from .steps cimport Name, Taker, begin, iterate

cdef object DONE
cdef double _TURN_TIME
cdef Py_ssize_t _TURN_MESSAGES


cdef class Exchange:
    cdef public object local_address, peer_address
    cdef public object _receive, _send, _loop, _readable, _writable, _room, _wake, _progress, _reader
    cdef public Py_ssize_t _number
    cdef public unsigned long _thread
    cdef public object _arrived
    cdef public Lock _lock
    cdef public Py_ssize_t _arrived_size, _count
    cdef public double _since
    cdef public bint _is_full, _ended, _taken, _cut, _closing, _stopped, _is_watched, _missed
    cdef public object _batch, _begun, _heard, _heard_text
    cdef public Name _writer
    cdef public Taker _taker

    @cython.locals(event=MessageReceived, fields=dict, word=str, is_taken=bint, now=double, since=double, taker=Taker)
    cpdef bint _hear(self, message) except -1
    cpdef bint _is_crowded(self) except -1
    cpdef _arrive(self, event, Py_ssize_t size)
    @cython.locals(count=Py_ssize_t, message=SendMessage)
    cpdef Py_ssize_t _say_now(self, items) except -1


cdef dict _message(SendMessage item)

cimport cython

from .native cimport monotonic
from .steps cimport Name, begin

cdef object DONE, MessageReceived, SendMessage, _get_running_loop
cdef double _TURN_TIME


cdef class Exchange:
    cdef public object local_address, peer_address
    cdef public object _receive, _send, _loop, _readable, _writable, _take, _room, _wake, _progress, _reader
    cdef public Py_ssize_t _number
    cdef public object _thread, _lock, _arrived
    cdef public Py_ssize_t _arrived_size
    cdef public bint _is_full, _ended, _taken, _cut, _closing, _stopped, _is_watched, _missed
    cdef public object _batch, _begun
    cdef public Name _writer

    @cython.locals(now=double, since=double, count=Py_ssize_t)
    cpdef bint _is_crowded(self) except -1
    cpdef _arrive(self, event, Py_ssize_t size)
    @cython.locals(count=Py_ssize_t)
    cpdef Py_ssize_t _say_now(self, items) except -1


cdef dict _message(item)

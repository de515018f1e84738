cimport cython

from .core.events cimport MessageReceived
from .core.limits cimport Limits
from .handover.nowait cimport PlainSocket
from .messaging cimport make_binary, make_text
from .native cimport Lock, get_ident, monotonic
from .outgoing cimport Outgoing

cdef int _UNTIMED, _READ, _WRITE, _HANGUP
cdef Py_ssize_t _LONG, _HEAD_SIZE


cdef class Incoming(Outgoing):
    cdef public object handler

    cpdef on_ready(self, int events)
    cpdef on_readable(self)
    cpdef on_writable(self)
    cpdef on_hangup(self)
    cpdef turn(self, bint readable=*)
    cpdef _go_on(self)
    @cython.locals(now=double, plain=PlainSocket)
    cpdef double _take_in(self, bint readable) except? -1
    cpdef _get_room(self)
    @cython.locals(now=double)
    cpdef double _fill(self, PlainSocket plain, room) except? -1
    cpdef _recv(self)
    cpdef _receive(self, data, double now)
    cpdef _frames(self)
    @cython.locals(untimed=int, elapsed=double, limits=Limits, message=MessageReceived)
    cpdef _dispatch(self, double began)
    cpdef _tell_other(self, event)
    cpdef _tell_opened(self)
    cpdef _handler_failed(self, error)
    cpdef _conclude(self, bint tell=*)

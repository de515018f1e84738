cimport cython

from .core.limits cimport Limits, find_limits, flag
from .core.machine cimport Machine
from .corks cimport Corkable, find_cork, flush_if_let_go
from .handover.nowait cimport PlainSocket
from .native cimport Lock, get_ident, monotonic

cdef double _NEVER


cdef class Outgoing(Corkable):
    cdef object __weakref__
    cdef public object transport, loop, ended_at
    cdef public Machine conn
    cdef public PlainSocket _plain
    cdef public Lock _lock
    cdef public Limits _limits
    cdef public object _error, _inbox, _waiters, _fragmenters
    cdef public double timer
    cdef public long long tick
    cdef public long _busy, _fragmenter
    cdef public long held
    cdef public int fd
    cdef public flag blocked, paused, released, keeps_oldest, turn_due
    cdef public flag _is_threaded, _told_closed, _half_closed
    # Those of the classes below: here they take no more room than they need.
    cdef public flag _crossed, _hung_up, _is_long, _read_due, _told_opened, has_thread

    cpdef long _current(self) except? 0
    @cython.locals(machine=object)
    cpdef send_message(self, data, bint is_text)
    cpdef bint send_prepared(self, message) except -1
    @cython.locals(machine=object)
    cpdef bint send_shared(self, message, list cork) except -1
    cpdef uncork(self)
    @cython.locals(busy=long, me=long)
    cpdef _flush_unless_corked(self)
    @cython.locals(size=Py_ssize_t, sent=Py_ssize_t, is_quiet=bint, piece=bytes)
    cpdef _flush(self)
    cpdef Py_ssize_t _write(self, data) except -1
    cpdef _settle(self)
    cpdef _schedule(self)
    cpdef _again(self)
    cpdef _update(self)
    cpdef bint _must_pause(self) except -1

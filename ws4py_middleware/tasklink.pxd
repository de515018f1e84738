cimport cython

from .link cimport Link
from .native cimport get_ident, monotonic
from .steps cimport begin

cdef object _text, _binary, CoroutineType, MessageReceived, PongReceived, HookDue, DONE


cdef class _LoopsLink(Link):
    pass


cdef class ThreadLink(_LoopsLink):
    pass


cdef class TaskLink(_LoopsLink):
    cdef public bint _corks, _uncorking
    cdef public unsigned long _stepping, task_id

    cpdef take_now(self, event, double now)
    cpdef read_now(self)
    cpdef _turn_now(self, double now)
    cpdef _dispatch_now(self, double began)
    cpdef bint _may_go_on(self, double began) except -1
    cpdef _tell(self, event)
    cpdef uncork_now(self)
    cpdef _uncork_soon(self)
    cpdef _uncork(self)
    cpdef bint _takes_more(self) except -1

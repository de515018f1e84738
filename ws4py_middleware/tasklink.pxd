cimport cython

from .core.events cimport MessageReceived
from .link cimport Link
from .messaging cimport make_binary, make_text
from .native cimport get_ident, monotonic
from .seats cimport Seat
from .steps cimport Taker, begin, iterate

cdef object CoroutineType, PongReceived, HookDue, DONE


cdef class _LoopsLink(Link):
    pass


cdef class ThreadLink(_LoopsLink):
    pass


cdef class TaskLink(_LoopsLink):
    cdef public bint _corks, _uncorking
    cdef public unsigned long _stepping, task_id

    cpdef bint may_step(self, Seat seat) except -1
    cpdef stepped(self, Seat seat, rest)
    cpdef take_now(self, MessageReceived message, double now)
    cpdef read_now(self)
    cpdef _turn_now(self, double now, event=*)
    cpdef _dispatch_now(self, double began, event=*)
    cpdef bint _may_go_on(self, double began) except -1
    @cython.locals(message=MessageReceived)
    cpdef _tell(self, event)
    cpdef uncork_now(self)
    cpdef _uncork_soon(self)
    cpdef _uncork(self)
    cpdef bint _takes_more(self) except -1


cdef class TaskTaker(Taker):
    cdef TaskLink _link
    cdef Seat _seat

    @cython.locals(link=TaskLink, seat=Seat)
    cpdef bint take(self, MessageReceived message, double now) except -1
    cpdef step(self, MessageReceived message, double now)

cimport cython

from .corks cimport find_held, flush, hold, let_go
from .epolls cimport wait_epoll
from .link cimport Link
from .native cimport get_ident, monotonic

cdef double _HELD_TIME
cdef int _WRITE
cdef double _FOREVER


cdef class Led:
    cdef public bint running, _timer_moved
    cdef public object _crew, _turns
    cdef public dict _links


cdef class Rounds:
    cdef public long long rounds
    cdef public bint asleep, hands_on
    cdef public dict slow


@cython.locals(
    led=Led, links=dict, slow=dict, events=int, link=Link, since=double, held=list, ident="unsigned long"
)
cpdef dispatch(manager, list ready, Rounds crew, list running)

@cython.locals(led=Led, link=Link, is_epoll=bint, due=double, timeout=double, ready=list)
cpdef lead(manager, poller, Rounds crew, list running)

cimport cython

from .corks cimport flush, hold, let_go
from .epolls cimport wait_epoll
from .link cimport Link
from .native cimport get_ident, monotonic

cdef double _HELD_TIME


@cython.locals(links=dict, slow=dict, events=int, link=Link, began=double, held=list)
cpdef dispatch(manager, list ready, crew, list running)

@cython.locals(link=Link, is_epoll=bint)
cpdef lead(manager, poller, crew, list running)

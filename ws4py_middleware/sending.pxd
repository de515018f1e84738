cimport cython

from .corks cimport find_cork, flush_if_let_go
from .link cimport Link
from .messaging cimport BinaryMessage, Message, TextMessage


cdef object _NOTHING


@cython.freelist(8)
cdef class Queued:
    cdef object _websocket


@cython.locals(queued=Queued)
cpdef send_async(self, payload, bint binary=*)

@cython.locals(link=Link)
cpdef send(self, payload, bint binary=*)

@cython.locals(count=Py_ssize_t, cork=list, is_direct=bint, link=Link)
cpdef Py_ssize_t deliver_all(list links, message, kind) except -1

cdef _send_data(Link link, Message message, bint is_text)

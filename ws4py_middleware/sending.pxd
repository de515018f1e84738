cimport cython

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

@cython.locals(link=Link)
cpdef bint deliver(self, message) except -1

cdef _send_data(Link link, Message message, bint is_text)

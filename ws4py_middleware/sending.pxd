cimport cython

from .link cimport Link


@cython.locals(link=Link)
cpdef send(self, payload, bint binary=*)

@cython.locals(link=Link)
cpdef bint deliver(self, message) except -1

cdef _send_data(Link link, message)

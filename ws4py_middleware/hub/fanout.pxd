cimport cython

from ..corks cimport Corkable, find_cork, flush_if_let_go


@cython.locals(link=Corkable, cork=list, is_sent=bint)
cpdef bint deliver(self, message) except -1


cdef class Seat:
    cdef readonly object member, receiver, cursor
    cdef readonly Corkable link


@cython.locals(count=Py_ssize_t, is_sent=bint, cork=list, link=Corkable, seat=Seat)
cpdef Py_ssize_t fan_out(room, list seats, prepared) except -1

cimport cython

from .native cimport get_ident

cdef dict _corks
cdef unsigned long _holding


cdef class Corkable:
    cdef public bint is_corked

    cpdef bint send_shared(self, message, list cork) except -1
    cpdef uncork(self)


@cython.locals(me="unsigned long", cork=list)
cpdef list find_cork()
cpdef hold(unsigned long ident)
cpdef list find_held(unsigned long ident)
@cython.locals(held=list)
cpdef let_go(unsigned long ident)
@cython.locals(link=Corkable)
cpdef flush(list held)
cpdef flush_if_let_go(list cork)

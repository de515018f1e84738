cimport cython

from .native cimport get_ident

cdef dict _corks


cdef class Corkable:
    cdef public bint is_corked

    cpdef bint send_shared(self, message, list cork) except -1
    cpdef uncork(self)


cpdef list find_cork()
cpdef list hold()
cpdef let_go(ident)
@cython.locals(link=Corkable)
cpdef flush(list held)
cpdef flush_if_let_go(list cork)

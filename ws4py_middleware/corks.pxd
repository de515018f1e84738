from .native cimport get_ident

cdef dict _corks

cpdef list find_cork()
cpdef list hold()
cpdef let_go(ident)
cpdef flush(list held)

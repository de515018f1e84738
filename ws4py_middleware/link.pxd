from .incoming cimport Incoming
from .native cimport monotonic


cdef class Link(Incoming):
    cdef public object on_closed

    cpdef _tell_opened(self)
    cpdef _handler_failed(self, error)
    cpdef _conclude(self, bint tell=*)

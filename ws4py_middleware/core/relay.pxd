from .machine cimport Machine

cdef object _OPEN
cdef object _CLOSED


cdef class Relay(Machine):
    cdef public tuple _batch
    cdef public object _counts
    cdef public object _events
    cdef public object _items
    cdef public list _pieces
    cdef public Py_ssize_t _pieces_size
    cdef public Py_ssize_t _queued
    cdef public bint _said_close

from .steps cimport Name


cdef class Seat:
    cdef public Name name
    cdef public object wake, rest, lock
    cdef public bint turn, readable, is_parked, in_thread, abandoned

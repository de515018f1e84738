cdef class Coding:
    cdef public object extension
    cdef public long long packed
    cdef public long long plain

cdef double _NEVER


cdef class Keepalive:
    cdef bytes _later
    cdef double _sent_at
    cdef readonly double last, total, lowest, highest
    cdef readonly unsigned int answered
    cdef unsigned int _count

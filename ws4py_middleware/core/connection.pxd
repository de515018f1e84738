from .machine cimport Machine

cdef object _OPEN
cdef object _CLOSED


cdef class Connection(Machine):
    cdef public double _controls_since
    cdef public list _events
    cdef public object _keepalive
    cdef public Py_ssize_t _next
    cdef public object _parser
    cdef public object outbox

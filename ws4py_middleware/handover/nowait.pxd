from ..core.limits cimport flag


cdef class PlainSocket:
    cdef readonly object sock
    cdef flag is_direct
    # Of the class below: here it takes no more room than it needs.
    cdef public flag gevent

    cdef int get_fd(self) except -1
    cpdef object recv(self, Py_ssize_t size=*)
    cpdef object recv_into(self, object buffer)
    cpdef Py_ssize_t send(self, object data) except -1
    cpdef Py_ssize_t sendv(self, list buffers) except -1
    cdef Py_ssize_t _note(self, ssize_t sent, int number) except -1

from .nowait cimport PlainSocket


cdef class Transport(PlainSocket):
    cdef public object _owner, _local_address, _peer_address
    cdef public long long _peer_number


cdef class TLSTransport(Transport):
    cdef public object _lock, _tls
    cdef public bint _recv_needs_write, _send_needs_read, _shut
    cdef public Py_ssize_t committed

    cpdef object recv(self, Py_ssize_t size=*)
    cpdef object recv_into(self, object buffer)
    cpdef Py_ssize_t send(self, object data) except -1
    cpdef Py_ssize_t sendv(self, list buffers) except -1

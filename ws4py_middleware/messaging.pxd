cimport cython

cdef object _TEXT
cdef object _BINARY


cdef class Message:
    cdef object __weakref__
    cdef public object opcode
    cdef public object data
    cdef public object encoding
    cdef public object _decoded
    cdef public bint completed

    cdef _check(self, bint whole)


cdef class TextMessage(Message):
    pass


cdef class BinaryMessage(Message):
    pass


cdef class CloseControlMessage(Message):
    cdef public object code
    cdef public object reason


cdef class _ProbeMessage(Message):
    pass


cdef class PingControlMessage(_ProbeMessage):
    pass


cdef class PongControlMessage(_ProbeMessage):
    pass


@cython.locals(message=TextMessage)
cpdef TextMessage make_text(data)

@cython.locals(message=BinaryMessage)
cpdef BinaryMessage make_binary(data)

cimport cython


cdef class Event:
    pass


cdef class MessageReceived(Event):
    cdef public bytes data
    cdef public bint is_text


cdef class PingReceived(Event):
    cdef public bytes data


cdef class PongReceived(Event):
    cdef public bytes data
    cdef public object latency


cdef class CloseReceived(Event):
    cdef public int code
    cdef public str reason


@cython.locals(event=MessageReceived)
cpdef MessageReceived make_message(bytes data, bint is_text)

cdef class PreparedMessage:
    cdef public object data
    cdef public bint is_text
    cdef public object frame
    cdef public dict frames
    cdef public object relayed

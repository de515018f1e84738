cdef extern from *:
    # A bint in one byte, for those that stand side by side in each connection.
    ctypedef bint flag "signed char"


cdef class Limits:
    cdef object __weakref__
    cdef readonly long long max_message_size, frame_limit, max_fragments, max_control_frames
    cdef readonly long long turn_frames, receive_queue_size
    cdef readonly Py_ssize_t turn_bytes, write_high_water
    cdef readonly double turn_time, ping_interval, ping_timeout, write_timeout
    cdef readonly double close_timeout, idle_timeout, max_lifetime


cpdef Limits find_limits(policy)

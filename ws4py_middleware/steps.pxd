cdef object _enter_task, _leave_task, current_task


cdef class Name:
    cdef public object context, loop, task


cpdef begin(iterator)

from .core.events cimport MessageReceived

cdef object _DONE, _current_tasks, _swap_current_task


cdef class Taker:
    cpdef bint take(self, MessageReceived message, double now) except -1
    cpdef step(self, MessageReceived message, double now)


cdef class Name:
    cdef public object context, loop, task

    cpdef begin(self, iterator)
    cpdef step(self, Taker taker, MessageReceived message, double now)
    cdef object _swap(self, task)


cpdef begin(iterator)
cpdef iterate(awaitable)

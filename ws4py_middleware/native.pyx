"""
What every message needs of the system: the clock, the thread that asks, a lock.

The same as ``native.py``, without Python's calls.
"""

import time


from cpython.pythread cimport (
    NOWAIT_LOCK,
    WAIT_LOCK,
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_get_thread_ident,
    PyThread_release_lock,
)

__all__ = ["Lock", "get_ident", "monotonic"]


cdef extern from *:
    """
    #if defined(__linux__)
    #include <time.h>
    /* What time.monotonic() asks there, too, so that both can be compared. */
    static double ws4py_clock(void) {
        struct timespec now;
        if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return -1.0;
        return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    }
    #else
    static double ws4py_clock(void) { return -1.0; }
    #endif
    """
    double ws4py_clock() noexcept nogil


cpdef double monotonic() except? -1:
    cdef double now = ws4py_clock()
    if now < 0:
        return <double>time.monotonic()
    return now


cpdef unsigned long get_ident() noexcept:
    return PyThread_get_thread_ident()


cdef class Lock:
    """
    The lock of one connection: who has it may take it again.

    Its state is guarded by the GIL, so that to take a free one is a comparison and two assignments. Only who
    meets another thread in it waits at a lock of the system's, the *gate*, which is made when that happens first.
    """

    def __cinit__(self):
        if type(self) is not Lock:
            # One who never lets anybody by: so each enter() and leave() is the class' own acquire() and release().
            self.waiting = 1

    def __dealloc__(self):
        if self.gate is not NULL:
            PyThread_free_lock(self.gate)

    cpdef bint acquire(self, bint blocking=True) except -1:
        """Take it; return whether that came about: not, when the caller would have had to wait."""
        cdef unsigned long me = PyThread_get_thread_ident()
        if self.depth:
            if self.owner == me:
                self.depth += 1
                return True
        elif not self.waiting:
            self.owner = me
            self.depth = 1
            return True
        if not blocking:
            return False
        self._wait(me)
        return True

    cpdef release(self):
        """
        Give it back, once for each time that it was taken.

        Raises:
            RuntimeError: The caller does not have it.
        """
        if not self.depth or self.owner != PyThread_get_thread_ident():
            raise RuntimeError("cannot release un-acquired lock")
        self.depth -= 1
        if not self.depth and self.is_gated:
            self.is_gated = False
            PyThread_release_lock(self.gate)

    def __enter__(self):
        self.acquire()
        return True

    def __exit__(self, *_):
        self.release()

    cdef int _wait(self, unsigned long me) except -1:
        if self.gate is NULL:
            self.gate = PyThread_allocate_lock()
            if self.gate is NULL:
                raise MemoryError
        if not self.is_gated and self.depth:
            # Who has it took it without a look at the gate: that is shut in its name, and it will open it.
            PyThread_acquire_lock(self.gate, NOWAIT_LOCK)
            self.is_gated = True
        self.waiting += 1
        try:
            with nogil:
                PyThread_acquire_lock(self.gate, WAIT_LOCK)
        finally:
            self.waiting -= 1
        self.is_gated = True
        self.owner = me
        self.depth = 1
        return 0

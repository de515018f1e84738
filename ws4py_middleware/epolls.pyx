"""
What ``epoll`` tells, in a poller's own flags.

The same as ``epolls.py``, by the kernel's own call.
"""

from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from libc.errno cimport EINTR, errno
from libc.math cimport ceil

from .native cimport monotonic

__all__ = ["HANGUP", "READ", "WRITE", "wait_epoll"]

cdef extern from *:
    """
    #if defined(__linux__)
    #include <sys/epoll.h>
    typedef struct epoll_event ws4py_event;
    #define ws4py_fd(event) ((event)->data.fd)
    #else
    typedef struct { unsigned int events; } ws4py_event;
    #define ws4py_fd(event) -1
    static int epoll_wait(int fd, ws4py_event *events, int most, int timeout) { errno = ENOSYS; return -1; }
    #endif
    """
    ctypedef struct ws4py_event:
        unsigned int events
    int ws4py_fd(ws4py_event *) nogil
    int epoll_wait(int, ws4py_event *, int, int) nogil

READ = 1
WRITE = 2
HANGUP = 4

cdef enum:
    MOST = 512

# Who has the GIL and finds work goes on with it, but gives it to others so often; seconds.
cdef double KEPT = 0.001

# When the GIL was given away here last, and how many were ready last: there may be more of them.
cdef double _given = 0
cdef int _found = 0


cpdef list wait_epoll(epoll, timeout):
    """Wait until descriptors are ready; see ``epolls.py``."""
    global _given, _found
    cdef ws4py_event events[MOST]
    cdef int fd = epoll.fileno()
    cdef int most = -1
    cdef int count = 0
    cdef int i
    cdef unsigned int flags
    cdef double seconds
    if timeout is not None:
        seconds = timeout
        # Rounded up: who comes back too early would come back in vain, again and again.
        most = <int>min(ceil(seconds * 1000), 2e9) if seconds > 0 else 0
    if most == 0 or (_found > 1 and monotonic() - _given < KEPT):
        count = epoll_wait(fd, events, MOST, 0)
    if count == 0 and most != 0:
        with nogil:
            count = epoll_wait(fd, events, MOST, most)
        _given = monotonic()
    if count < 0:
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()
        count = 0
    _found = count
    ready = []
    for i in range(count):
        flags = events[i].events
        # The kernel's READ, WRITE, ERR and HUP are 1, 4, 8 and 16.
        ready.append((ws4py_fd(&events[i]), (flags & 1) | (flags & 4) >> 1 | (4 if flags & 24 else 0)))
    return ready

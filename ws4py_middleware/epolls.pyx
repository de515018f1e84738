"""
What ``epoll`` tells, in a poller's own flags.

The same as ``epolls.py``, by the kernel's own call.
"""

import select

from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from libc.errno cimport EINTR, errno
from libc.math cimport INFINITY, ceil

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

    /* How CPython's epoll object begins, in all versions. Whether that is so is tried when this is imported. */
    typedef struct { PyObject_HEAD int fd; } ws4py_epoll;
    #define ws4py_number(epoll) (((ws4py_epoll *)(epoll))->fd)
    """
    ctypedef struct ws4py_event:
        unsigned int events
    int ws4py_fd(ws4py_event *) nogil
    int epoll_wait(int, ws4py_event *, int, int) nogil
    int ws4py_number(object epoll)

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


cdef object _Epoll = getattr(select, "epoll", None)


cdef bint _knows_layout() except -1:
    if _Epoll is None:
        return False
    try:
        epoll = _Epoll()
    except OSError:  # there is no descriptor left, or the system has none of these
        return False
    with epoll:
        if ws4py_number(epoll) != epoll.fileno():
            return False
    return ws4py_number(epoll) == -1


cdef bint KNOWS_LAYOUT = _knows_layout()


cpdef list wait_epoll(epoll, double timeout):
    """Wait until descriptors are ready; see ``epolls.py``."""
    global _given, _found
    cdef ws4py_event events[MOST]
    cdef int fd = -1
    cdef int most = -1
    cdef int count = 0
    cdef int i
    cdef unsigned int flags
    if KNOWS_LAYOUT and type(epoll) is _Epoll:
        fd = ws4py_number(epoll)
    if fd < 0:
        fd = epoll.fileno()
    if timeout != INFINITY:
        # Rounded up: who comes back too early would come back in vain, again and again.
        most = <int>min(ceil(timeout * 1000), 2e9) if timeout > 0 else 0
    if most == 0 or (_found > 1 and monotonic() - _given < KEPT):
        count = epoll_wait(fd, events, MOST, 0)
    if count == 0 and most != 0:
        with nogil:
            count = epoll_wait(fd, events, MOST, most)
        if count > 1:  # else it is not asked for
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

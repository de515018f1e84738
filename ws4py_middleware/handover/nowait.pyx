"""
A plain socket's four calls that never wait.

The same as ``nowait.py``, with C's own calls, which keep the GIL.
"""

import _socket
import errno
import os
import socket

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EINTR
from libc.errno cimport errno as c_errno
from libc.string cimport memset

__all__ = ["PlainSocket"]


cdef extern from *:
    """
    #include <sys/types.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif

    /* How a C socket of CPython's begins, in all versions. Whether that is so is tried when this is imported. */
    typedef struct { PyObject_HEAD int fd; } ws4py_socket;
    #define ws4py_fd(sock) (((ws4py_socket *)(sock))->fd)

    /* Other bytes have come into it: so many, and with another hash than the one that it may remember. */
    #if defined(__GNUC__)
    #pragma GCC diagnostic push
    #pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    #endif
    static void ws4py_set_size(PyObject *data, Py_ssize_t size) {
        Py_SET_SIZE((PyVarObject *)data, size);
        PyBytes_AS_STRING(data)[size] = 0;
        ((PyBytesObject *)data)->ob_shash = -1;
    }
    #if defined(__GNUC__)
    #pragma GCC diagnostic pop
    #endif
    """
    cdef struct iovec:
        void *iov_base
        size_t iov_len
    cdef struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    ssize_t c_recv "recv"(int, void *, size_t, int) nogil
    ssize_t c_send "send"(int, const void *, size_t, int) nogil
    ssize_t c_sendmsg "sendmsg"(int, const msghdr *, int) nogil
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    int ws4py_fd(object sock)
    void ws4py_set_size(object data, Py_ssize_t size)

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)

# Most buffers of one call; what is behind them is left for the next one.
cdef enum:
    MAX_BUFFERS = 16

cdef object _Socket = _socket.socket
cdef object _recv = _socket.socket.recv
cdef object _send = _socket.socket.send

# From so many bytes on, what was read is handed out where it lies; less is copied, so that it keeps no buffer.
cdef Py_ssize_t COPIED = 16 * 1024

# The buffer of the last read, which is read into again as soon as nobody else has it any more.
cdef bytes _buffer = b""
cdef Py_ssize_t _capacity = 0


cdef bint _knows_layout() except -1:
    one, other = socket.socketpair()
    with one, other:
        if ws4py_fd(one) != one.fileno() or ws4py_fd(other) != other.fileno():
            return False
    return ws4py_fd(one) == -1 and ws4py_fd(other) == -1


cdef bint KNOWS_LAYOUT = _knows_layout()


cdef object _fail(int number):
    """Raise what Python's own socket would raise."""
    raise OSError(number, os.strerror(number))


cdef inline bint _has_nothing(int number) noexcept:
    return number == EAGAIN  # EWOULDBLOCK is the same number


cdef class PlainSocket:
    """
    What is read from, and written to, a stream socket that is non-blocking.

    Args:
        sock: A C socket, or anything with its methods.
    """

    def __init__(self, sock):
        self.sock = sock
        kind = type(sock)
        # One whose calls are somebody's own keeps them.
        self.is_direct = isinstance(sock, _Socket) and kind.recv is _recv and kind.send is _send

    cdef int get_fd(self) except -1:
        """Return the descriptor; looked up each time, since who closes the socket gives its number away."""
        cdef int fd = ws4py_fd(self.sock) if KNOWS_LAYOUT else self.sock.fileno()
        if fd < 0:
            _fail(errno.EBADF)
        return fd

    cpdef object recv(self, Py_ssize_t size=65536):
        """Read at most ``size`` bytes that are here already; see ``nowait.py``."""
        global _buffer, _capacity
        cdef ssize_t got
        cdef int fd
        if not self.is_direct:
            try:
                return self.sock.recv(size)
            except BlockingIOError:
                return None
        if size < 0:
            raise ValueError("negative buffersize in recv")
        fd = self.get_fd()
        if _capacity < size or Py_REFCNT(<PyObject *>_buffer) != 1:
            _capacity = 0
            _buffer = PyBytes_FromStringAndSize(NULL, size)
            _capacity = size
        got = c_recv(fd, PyBytes_AS_STRING(_buffer), size, MSG_DONTWAIT)
        while got < 0 and c_errno == EINTR:
            got = c_recv(fd, PyBytes_AS_STRING(_buffer), size, MSG_DONTWAIT)
        if got < 0:
            return None if _has_nothing(c_errno) else _fail(c_errno)
        if got < COPIED:
            return PyBytes_FromStringAndSize(PyBytes_AS_STRING(_buffer), got)
        ws4py_set_size(_buffer, got)
        return _buffer

    cpdef object recv_into(self, object buffer):
        """Read into a buffer; see ``nowait.py``."""
        cdef Py_buffer view
        cdef ssize_t got
        cdef int fd, number = 0
        if not self.is_direct:
            try:
                return self.sock.recv_into(buffer)
            except BlockingIOError:
                return None
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            fd = self.get_fd()
            got = c_recv(fd, view.buf, view.len, MSG_DONTWAIT)
            while got < 0 and c_errno == EINTR:
                got = c_recv(fd, view.buf, view.len, MSG_DONTWAIT)
            number = c_errno
        finally:
            PyBuffer_Release(&view)
        if got < 0:
            return None if _has_nothing(number) else _fail(number)
        return got

    cpdef Py_ssize_t send(self, object data) except -1:
        """Write as much of ``data`` as can be taken without waiting; see ``nowait.py``."""
        cdef Py_buffer view
        cdef ssize_t sent
        cdef int fd, number = 0
        if not self.is_direct:
            try:
                return self.sock.send(data)
            except BlockingIOError:
                return 0
        if type(data) is bytes:
            fd = self.get_fd()
            sent = _write(fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), &number)
            return self._note(sent, number)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            fd = self.get_fd()
            sent = _write(fd, view.buf, view.len, &number)
        finally:
            PyBuffer_Release(&view)
        return self._note(sent, number)

    cpdef Py_ssize_t sendv(self, list buffers) except -1:
        """Write as much of several buffers as can be taken without waiting; see ``nowait.py``."""
        cdef Py_buffer views[MAX_BUFFERS]
        cdef iovec vector[MAX_BUFFERS]
        cdef msghdr message
        cdef ssize_t sent = -1
        cdef int fd, number = 0, count = 0, i
        if not self.is_direct:
            try:
                return self.sock.sendmsg(buffers)
            except BlockingIOError:
                return 0
        try:
            for data in buffers:
                if count == MAX_BUFFERS:
                    break
                PyObject_GetBuffer(data, &views[count], PyBUF_SIMPLE)
                vector[count].iov_base = views[count].buf
                vector[count].iov_len = views[count].len
                count += 1
            fd = self.get_fd()  # not before: the buffers of others run code of theirs
            memset(&message, 0, sizeof(message))
            message.msg_iov = vector
            message.msg_iovlen = count
            sent = c_sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
            while sent < 0 and c_errno == EINTR:
                sent = c_sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
            number = c_errno
        finally:
            for i in range(count):
                PyBuffer_Release(&views[i])
        return self._note(sent, number)

    cdef Py_ssize_t _note(self, ssize_t sent, int number) except -1:
        """Return what a call has taken; 0 when it would have waited."""
        if sent >= 0:
            return sent
        if not _has_nothing(number):
            _fail(number)
        return 0


cdef inline ssize_t _write(int fd, const void *data, size_t size, int *number) noexcept:
    cdef ssize_t sent = c_send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
    while sent < 0 and c_errno == EINTR:
        sent = c_send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
    if sent < 0:
        number[0] = c_errno
    return sent

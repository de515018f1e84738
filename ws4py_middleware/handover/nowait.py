"""
A plain socket's four calls that never wait.

``nowait.pyx`` makes the same calls in C. They keep the GIL, since there is nothing to wait for: a thread that
gives it away for the time of a ``send()`` gets it back, beside one that computes, after 5 ms.
"""

from __future__ import annotations

import _socket

from ..core.types import Buffer

__all__ = ["PlainSocket"]


class PlainSocket:
    """
    What is read from, and written to, a stream socket that is non-blocking.

    Args:
        sock: A C socket, or anything with its methods.
    """

    __slots__ = ("sock",)

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock

    def recv(self, size: int = 65536) -> bytes | None:
        """
        Read at most ``size`` bytes that are here already.

        Returns:
            The bytes; ``b""`` when the peer has ended its side; None when there is nothing to read now.

        Raises:
            OSError: The connection is lost (``ConnectionResetError`` and the like) or closed. A TLS error
                is an :exc:`OSError` too.
        """
        try:
            return self.sock.recv(size)
        except BlockingIOError:
            return None

    def recv_into(self, buffer: memoryview) -> int | None:
        """
        Read into a buffer, as :meth:`recv`.

        Returns:
            How many bytes were read; 0 when the peer has ended its side; None when there is nothing to read.
        """
        try:
            return self.sock.recv_into(buffer)
        except BlockingIOError:
            return None

    def send(self, data: Buffer) -> int:
        """
        Write as much of ``data`` as can be taken without waiting.

        Returns:
            How many bytes were taken from the front; 0 when the connection takes nothing now.

        Raises:
            OSError: The connection is lost (``BrokenPipeError``, ``ConnectionResetError``) or closed.
        """
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    def sendv(self, buffers: list[Buffer]) -> int:
        """Write as much of several buffers, one behind the other, as :meth:`send` does of one."""
        try:
            return self.sock.sendmsg(buffers)
        except BlockingIOError:
            return 0

"""
waitress: the application runs in a thread, and the connection belongs to a loop in the main thread.

There is no public way to either. The key ``waitress.client_disconnected`` of the environ, which is public,
is a bound method of the ``HTTPChannel``; the channel has the socket, and what was read behind the request.
The loop knows the connection by its descriptor's number, and reads and writes nothing while it has exactly
one request and no output: so that number is what gets the dummy. All of this is true of waitress 2 and 3.

Frames that a client sends before it has seen the 101 arrive in the same read as the request, and waitress
takes them for the beginning of the next one. As long as that has not ended, they are all there. Where they
happen to contain an empty line, it has: then nobody can tell what they were, and the answer is 501.
"""

from __future__ import annotations

from typing import Any

from ws4py_middleware.handover.adapter import Adapter, Environ, Located, StartResponse, Taken
from ws4py_middleware.handover.sockets import Transport, take_fd

__all__ = ["Waitress", "end_connection"]

_KEY = "waitress.client_disconnected"


class Waitress(Adapter):
    """``waitress.serve``, ``waitress-serve``."""

    name = "waitress"

    not_there = "it keeps its connections elsewhere than waitress 3.0; install that release"

    def match(self, environ: Environ, start_response: StartResponse | None) -> bool:
        return _KEY in environ

    def is_gevent(self, environ: Environ, start_response: StartResponse | None) -> bool:
        self._look_up(environ, start_response)
        return False

    def detach(self, environ: Environ, start_response: StartResponse | None) -> Taken:
        try:
            channel = environ[_KEY].__self__
            requests_lock, output_lock = channel.requests_lock, channel.outbuf_lock
        except AttributeError as error:
            raise self.refusal(self.not_there) from error
        # In waitress' own order. With both, its loop neither closes the connection nor writes to it.
        with requests_lock, output_lock:
            return super().detach(environ, start_response)

    def locate(self, environ: Environ, start_response: StartResponse | None) -> Located:
        channel: Any = environ[_KEY].__self__
        if channel.adj.channel_request_lookahead > 0:
            raise self.refusal(
                "with channel_request_lookahead it reads from it while the application runs; leave that at 0"
            )
        if channel.socket is None or not channel.connected or channel.will_close:
            raise self.refusal("it has closed the connection already")
        unfinished = channel.request
        if len(channel.requests) != 1 or (unfinished is not None and unfinished.headers_finished):
            raise self.refusal(
                "it took what the client sent behind the request for another request;"
                " a client has to wait for the 101 before it sends frames"
            )
        if channel.total_outbufs_len:
            raise self.refusal("it still has to send the answer to the request before this one")
        early = b"" if unfinished is None else bytes(unfinished.header_plus)

        def read_early() -> bytes:
            # Or the loop would go on with it when the dummy has ended.
            channel.request = None
            return early

        return Located(channel.socket.fileno(), read_early)

    def take(self, sock: int) -> tuple[Transport, Any]:
        return take_fd(sock)


def end_connection(environ: Environ, write: Any, headers: list[tuple[str, str]]) -> None:
    """
    Make waitress end the connection after the answer to this request, and send headers that it refuses.

    It refuses them from applications; it ends the connection when the client has asked for that, so the
    request is made to ask. Without effect on other servers, and on what is not to be found.

    Args:
        environ: The request's.
        write: What ``start_response`` has returned: a method of waitress' task, which has the headers.
        headers: The hop-by-hop headers of the answer.
    """
    channel = getattr(environ.get(_KEY), "__self__", None)
    requests = getattr(channel, "requests", None)
    if requests:
        asked = getattr(requests[0], "headers", None)
        if isinstance(asked, dict):
            asked["CONNECTION"] = "close"
    task = getattr(write, "__self__", None)
    sent = getattr(task, "response_headers", None)
    if channel is not None and getattr(task, "channel", None) is channel and isinstance(sent, list):
        sent.extend(headers)

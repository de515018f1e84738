"""
Replies: what the wrapped application answers, watched or held back.

Applications may call ``start_response`` before they return, or when their iterable is asked for its
first piece; may call it again with ``exc_info``; may use ``write``. All of it is theirs to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["Application", "Reply", "StartResponse", "call_and_replace_404"]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def close(iterable: object) -> None:
    """Close what an application returned, if that can be closed."""
    closer = getattr(iterable, "close", None)
    if closer is not None:
        closer()


class _Body:
    """What is left of an application's iterable, or what replaces it; closes it at the end."""

    def __init__(self, pieces: Iterator[bytes], iterable: object) -> None:
        self._pieces = pieces
        self._iterable = iterable

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Close the application's iterable."""
        close(self._iterable)


class Reply:
    """
    An application's answer, called for and held back until it is clear what becomes of it.

    Exactly one of :meth:`send`, :meth:`keep` and :meth:`close` follows; after :meth:`keep`, again.

    Args:
        app: The application, which is called right away, and until it has called ``start_response``.
        environ: What it is called with.
    """

    def __init__(self, app: Application, environ: Environ) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self._exc_info: Any = None
        self._pieces: list[bytes] = []
        self._server_start: StartResponse | None = None
        self._server_write: Callable[[bytes], object] | None = None
        self._iterator: Iterator[bytes] | None = None
        self._iterable: Iterable[bytes] = app(environ, self._start)
        if not self.has_started():
            try:
                self._iterator = iter(self._iterable)
                for piece in self._iterator:
                    self._pieces.append(piece)
                    if self.has_started():
                        break
            except BaseException:
                self.close()
                raise

    def has_started(self) -> bool:
        """Tell whether the application has called ``start_response``."""
        return bool(self.status)

    @property
    def code(self) -> int | None:
        """The status as a number; ``None`` when the application never called ``start_response``."""
        return int(self.status[:3]) if self.status[:3].isdigit() else None

    def send(self, start_response: StartResponse) -> Iterable[bytes]:
        """Let the server have the answer; return what to return to it."""
        if self.has_started():
            self._server_start = start_response
            arguments = (self._exc_info,) if self._exc_info else ()
            self._exc_info = None
            self._server_write = start_response(self.status, self.headers, *arguments)
        if self._iterator is None and not self._pieces:
            return self._iterable  # perhaps the server's own file wrapper
        return _Body(self._rest(), self._iterable)

    def keep(self) -> None:
        """Take all of the answer, so that the application may be called again."""
        try:
            self._pieces = list(self._rest())
        finally:
            self.close()
        self._iterator = iter(())
        self._iterable = ()

    def close(self) -> None:
        """Let the application clean up after itself."""
        close(self._iterable)

    def _rest(self) -> Iterator[bytes]:
        yield from self._pieces
        yield from iter(self._iterable) if self._iterator is None else self._iterator

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if self._server_start is not None:
            # The application has failed half way, and says so to the server.
            arguments = (exc_info,) if exc_info else ()
            self._server_write = self._server_start(status, headers, *arguments)
            return self._server_write
        self.status, self.headers, self._exc_info = status, headers, exc_info
        return self._write

    def _write(self, data: bytes) -> None:
        if self._server_write is not None:
            self._server_write(data)
        else:
            self._pieces.append(data)


def call_and_replace_404(
    app: Application,
    environ: Environ,
    start_response: StartResponse,
    replacement: Callable[[Any], Iterable[bytes]],
) -> Iterable[bytes]:
    """
    Call an application, and answer in its place where it has nothing but 404.

    Any other answer goes to the server as it comes.

    Args:
        app: The application.
        environ: What it is called with.
        start_response: The server's.
        replacement: Takes the ``exc_info`` for ``start_response``, calls that, and returns the body.
    """
    replaced: Iterable[bytes] | None = None
    started = False

    def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        nonlocal replaced, started
        started = True
        if status.startswith("404"):
            replaced = replacement(*exc_info or (None,))
            return lambda data: None
        replaced = None
        return start_response(status, headers, *exc_info)

    def pieces(iterable: Iterable[bytes]) -> Iterator[bytes]:
        for piece in iterable:
            if replaced is not None:
                break
            yield piece
        # An iterable without a piece has called start_response at its end.
        yield from replaced or ()

    iterable = app(environ, start)
    if replaced is not None:
        return _Body(iter(replaced), iterable)
    return iterable if started else _Body(pieces(iterable), iterable)

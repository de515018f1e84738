from __future__ import annotations

import pytest

from ws4py_middleware import exc


@pytest.mark.parametrize(
    ("error", "code"),
    [
        # RFC 6455 section 7.4.1.
        (exc.WebSocketException, 1002),
        (exc.ProtocolException, 1002),
        (exc.UnsupportedFrameTypeException, 1003),
        (exc.TextFrameEncodingException, 1007),
        (exc.InvalidBytesError, 1007),
        (exc.PolicyViolation, 1008),
        (exc.FrameTooLargeException, 1009),
    ],
)
def test_exception_says_which_close_code_the_peer_is_told(
    error: type[exc.WebSocketException], code: int
) -> None:
    assert issubclass(error, exc.WebSocketException)
    assert error.close_code == code
    assert str(error("why")) == "why"


def test_all_names_every_exception() -> None:
    classes = {
        name for name, value in vars(exc).items() if isinstance(value, type) and issubclass(value, Exception)
    }
    assert set(exc.__all__) == classes
    assert exc.__all__ == sorted(exc.__all__)


def test_stream_closed_is_apart_as_in_ws4py() -> None:
    assert not issubclass(exc.StreamClosed, exc.WebSocketException)


def test_connection_closed_is_a_runtime_error_with_code_and_reason() -> None:
    error = exc.ConnectionClosed("it is over", 1001, "bye")
    assert isinstance(error, RuntimeError)
    assert (str(error), error.code, error.reason) == ("it is over", 1001, "bye")
    lost = exc.ConnectionClosed("it is lost")
    assert (lost.code, lost.reason) == (1006, "")


def test_handshake_error_is_an_http_answer() -> None:
    error = exc.HandshakeError("no key")
    assert (str(error), error.msg, error.status, error.headers) == ("no key", "no key", 400, ())
    error = exc.HandshakeError("no", 426, [("Sec-WebSocket-Version", "13")])
    assert (error.status, error.headers) == (426, (("Sec-WebSocket-Version", "13"),))


def test_handover_error_is_a_handshake_error_of_the_server() -> None:
    error = exc.HandoverError("this server keeps its socket")
    assert isinstance(error, exc.HandshakeError)
    assert (error.status, error.headers) == (501, ())
    assert exc.HandoverError("x", 503, [("Retry-After", "1")]).headers == (("Retry-After", "1"),)

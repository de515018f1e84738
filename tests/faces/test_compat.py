"""ws4py's leftovers of Python 2."""

from __future__ import annotations

import socket

from ws4py_middleware import compat


def test_names_are_what_they_were_on_python_3() -> None:
    assert compat.py3k
    assert compat.unicode is str
    assert isinstance("", compat.basestring)
    assert isinstance(b"", compat.basestring)
    assert list(compat.range(2)) == [0, 1]
    assert compat.urlsplit("ws://localhost:9000/ws").port == 9000


def test_ord_takes_numbers_too() -> None:
    assert compat.ord(65) == compat.ord("A") == compat.ord(b"A") == 65


def test_connection_below_a_file_is_found_and_survives_it() -> None:
    left, right = socket.socketpair()
    with left, right:
        file = left.makefile("rb")
        assert compat.get_connection(file) is left
        compat.detach_connection(file)
        left.sendall(b"still open")
        assert right.recv(100) == b"still open"

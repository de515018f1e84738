"""The documents' two doctests of what knows no socket: the frame and the stream."""

from __future__ import annotations

import doctest
from typing import Any

from tests.core.wire import KEY, TEXT, build_frame
from ws4py_middleware import framing, streaming

#: Changed: a key of six characters to the four bytes that the expected frame was masked with, str to bytes,
#: ``encode('hex')`` to ``hex()``, and indexes to slices, since an index of bytes is a number in Python 3.
FRAME = """
>>> test_mask = bytes.fromhex('be04e66a') # perhaps from os.urandom(4)
>>> f = Frame(OPCODE_TEXT, b'hello world', masking_key=test_mask, fin=1)
>>> bytes = f.build()
>>> bytes.hex()
'818bbe04e66ad6618a06d1249105cc6882'
>>> f = Frame()
>>> f.parser.send(bytes[0:1])
1
>>> f.parser.send(bytes[1:2])
4
"""

#: Changed: ``send()`` returns how many bytes are wanted next, which the documents do not show; and a space
#: behind the dots.
STREAM = """
>>> s = Stream()
>>> _ = s.parser.send(BYTES)
>>> s.has_messages
False
>>> _ = s.parser.send(MORE_BYTES)
>>> s.has_messages
True
>>> s.message
<TextMessage ...>
"""


def run(block: str, **names: Any) -> None:
    example = doctest.DocTestParser().get_doctest(block, names, "block", None, 0)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    printed: list[str] = []
    failed, tried = doctest.DocTestRunner(verbose=False, optionflags=flags).run(example, out=printed.append)
    assert (failed, tried) == (0, len(example.examples)), "".join(printed)


def test_frame_block() -> None:
    run(FRAME, **{name: getattr(framing, name) for name in framing.__all__})


def test_stream_block() -> None:
    wire = build_frame(TEXT, b"hello", fin=False, key=KEY)
    run(STREAM, Stream=streaming.Stream, BYTES=wire, MORE_BYTES=build_frame(0, b" world", key=KEY))

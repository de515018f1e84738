"""Our clients, as talkers: one of each kind that the tests know how to run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

from tests.clients import Session, open_client
from tests.interop.foreign.talker import BOUND, Data, Options, Talker
from tests.interop.words import MAX_SIZE


class OwnTalker(Talker):
    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def subprotocol(self) -> str | None:
        name: str | None = self.session.client.subprotocol
        return name

    @property
    def is_compressed(self) -> bool:
        return bool(self.session.client.extensions)

    def send(self, data: Data) -> None:
        self.session.send(data, isinstance(data, bytes))

    def send_fragments(self, pieces: Sequence[Data], ping: bytes | None = None) -> None:
        def make() -> Iterator[Data]:
            for number, piece in enumerate(pieces):
                yield piece
                if number == 1 and ping is not None:
                    # The first fragment leaves when the second one is known.
                    self.session.client.ping(ping)

        self.session.send(make(), isinstance(pieces[0], bytes))

    def receive(self) -> Data | None:
        message = self.session.receive(BOUND)
        if message is None:
            return None
        data: bytes = message.data
        return data.decode() if message.is_text else data

    def ping(self, data: bytes) -> float:
        start = monotonic()
        self.session.ping(data)
        self.send("behind it")
        assert self.receive() == "behind it"
        assert self.session.client.pongs[-1:] == [data]
        return monotonic() - start

    def close(self, code: int | None, reason: str) -> None:
        self.session.close(code, reason)

    def get_end(self) -> tuple[int | None, str]:
        assert self.receive() is None
        return self.session.code, self.session.reason or ""


@contextlib.contextmanager
def connect(kind: str, url: str, options: Options, **settings: Any) -> Iterator[OwnTalker]:
    """Connect a client of ours."""
    with open_client(
        kind,
        url,
        protocols=list(options.subprotocols) or None,
        compression=options.compression,
        max_message_size=MAX_SIZE,
        **settings,
    ) as session:
        yield OwnTalker(session)

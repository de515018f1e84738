"""What every manager tells of its connections."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from tests.drivers.contract import Host
from tests.drivers.peer import Recorder
from ws4py_middleware.figures import ConnectionStats
from ws4py_middleware.messaging import Message

ACCESS = "ws4py_middleware.access"


class Echo(Recorder):
    def on_message(self, message: Message) -> None:
        self.send(message)


def get_lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == ACCESS]


class FiguresContract:
    """Inherited by one test class for each manager; ``host`` is its fixture."""

    def test_messages_are_counted_while_they_pass_and_afterwards(self, host: Host) -> None:
        websocket = Echo()
        assert websocket.stats() == ConnectionStats(handler="Echo")
        with host.connect(websocket) as peer:
            for text in ("one", "three"):
                peer.send(text)
                assert peer.read() == text
            stats = websocket.stats()
            assert (stats.messages_received, stats.messages_sent, stats.messages_dropped) == (2, 2, 0)
            # A head of 2 bytes each, and the client's masks.
            assert (stats.bytes_received, stats.bytes_sent, stats.queued) == (2 * 6 + 8, 2 * 2 + 8, 0)
            assert (stats.side, stats.state, stats.close_code) == ("server", "open", None)
            assert stats.queued_max >= 5
            assert stats.age > 0
            whole = host.manager.stats()
            assert (whole.connections, whole.opened, whole.closed) == (1, 1, {})
            assert (whole.messages_received, whole.bytes_sent) == (2, 12)
            assert whole.oldest is not None
            peer.close()
        host.wait_closed(websocket)
        host.wait_until(lambda: not len(host.manager))
        stats = websocket.stats()
        assert (stats.state, stats.close_code, stats.messages_sent) == ("closed", 1000, 2)
        assert stats.age == websocket.stats().age
        whole = host.manager.stats()
        assert (whole.connections, whole.opened, whole.closed) == (0, 1, {"1000": 1})
        assert (whole.messages_received, whole.messages_sent) == (2, 2)
        assert (whole.bytes_received, whole.bytes_sent) == (stats.bytes_received, stats.bytes_sent)
        assert (whole.queued, whole.queued_max, whole.oldest) == (0, stats.queued_max, None)

    def test_one_line_when_it_ends(self, host: Host, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, ACCESS)
        websocket = Echo()
        websocket.environ = {
            "PATH_INFO": "/caf\xc3\xa9",
            "QUERY_STRING": "secret",
            "REMOTE_ADDR": "192.0.2.7",
        }
        with host.connect(websocket) as peer:
            peer.send("hello")
            assert peer.read() == "hello"
            assert get_lines(caplog) == []
            peer.close(4001, b'no" code=1000\nclosed')
        host.wait_closed(websocket)
        (record,) = get_lines(caplog)
        line = record.getMessage()
        assert line.startswith(
            'closed handler=Echo path="/caf\\u00e9" client="192.0.2.7" side=server code=4001 '
            'reason="no\\" code=1000\\nclosed" duration=0.'
        )
        assert "messages_received=1 messages_sent=1 messages_dropped=0 " in line
        assert "secret" not in line
        values: dict[str, Any] = record.__dict__["websocket"]
        assert (values["code"], values["path"], values["messages_sent"]) == (4001, "/café", 1)
        assert json.loads(json.dumps(values)) == values

    def test_connection_that_is_lost_is_logged_with_1006(
        self, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, ACCESS)
        websocket = Echo()
        with host.connect(websocket) as peer:
            host.wait_until(lambda: websocket.is_open)
            peer.sock.close()
            assert host.wait_closed(websocket)[0] == 1006
        assert "code=1006" in get_lines(caplog)[0].getMessage()
        host.wait_until(lambda: not len(host.manager))
        assert host.manager.stats().closed == {"1006": 1}

    def test_whoever_breaks_the_log_breaks_nothing_else(
        self, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(record: logging.LogRecord) -> bool:
            raise ZeroDivisionError("on purpose")

        caplog.set_level(logging.INFO, ACCESS)
        logging.getLogger(ACCESS).addFilter(fail)
        try:
            websocket = Echo()
            with host.connect(websocket) as peer:
                peer.close()
            assert host.wait_closed(websocket)[0] == 1000
        finally:
            logging.getLogger(ACCESS).removeFilter(fail)
        assert "could not be logged" in caplog.text

    def test_nothing_is_logged_unless_somebody_wants_to_know(
        self, host: Host, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, ACCESS)
        websocket = Echo()
        with host.connect(websocket) as peer:
            peer.close()
        host.wait_closed(websocket)
        assert caplog.records == []

"""What every manager does when the lifetime of a connection is over."""

from __future__ import annotations

from typing import Any

import pytest

from tests.drivers.contract import Host
from tests.drivers.peer import Recorder
from ws4py_middleware.functions import handler_class
from ws4py_middleware.messaging import Message
from ws4py_middleware.websocket import WebSocket

LIFETIME = 0.05


class Limited(Recorder):
    """Answers with the next of ``answers``, and with ``False`` at the end of them."""

    def __init__(self, *answers: Any) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked = 0

    def reauthorize(self) -> Any:
        with self.hook("reauthorize"):
            self.asked += 1
            answer = self.answers.pop(0) if self.answers else False
            if isinstance(answer, BaseException):
                raise answer
            return answer

    def on_message(self, message: Message) -> None:
        self.send(message)


class LifetimeContract:
    """Inherited by one test class for each manager; ``host`` is its fixture."""

    def test_connection_goes_on_until_it_may_no_longer(self, host: Host) -> None:
        websocket = Limited(True, None, True)
        with host.connect(websocket, max_lifetime=LIFETIME) as peer:
            peer.send("hello")
            assert peer.read() == "hello"
            assert peer.answer() == (1008, "it is not allowed any longer")
        assert host.wait_closed(websocket) == (1008, "it is not allowed any longer")
        assert websocket.asked == 4

    def test_without_anybody_to_ask_it_ends(self, host: Host) -> None:
        websocket = Recorder()
        with host.connect(websocket, max_lifetime=LIFETIME) as peer:
            assert peer.answer()[0] == 1008
        assert host.wait_closed(websocket)[0] == 1008

    def test_policy_may_be_asked_for_a_function_too(self, host: Host) -> None:
        asked: list[WebSocket] = []

        def allow_twice(ws: WebSocket) -> bool:
            asked.append(ws)
            return len(asked) < 3

        def echo(ws: WebSocket) -> None:
            for message in ws:
                ws.send(message)

        websocket = handler_class(echo)()
        with host.connect(websocket, max_lifetime=LIFETIME, reauthorize=allow_twice) as peer:
            peer.send("hello")
            assert peer.read() == "hello"
            assert peer.answer()[0] == 1008
        assert asked == [websocket] * 3

    @pytest.mark.parametrize("answer", [0, "yes", ZeroDivisionError("on purpose")])
    def test_what_is_no_answer_or_an_error_ends_with_1011(
        self, host: Host, answer: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        websocket = Limited(answer)
        with host.connect(websocket, max_lifetime=LIFETIME) as peer:
            assert peer.answer() == (1011, "internal error")
        assert host.wait_closed(websocket)[0] == 1011
        (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
        assert record.exc_info is not None
        assert isinstance(
            record.exc_info[1], ZeroDivisionError if isinstance(answer, Exception) else TypeError
        )

    def test_hook_that_closes_itself_says_what_it_likes(self, host: Host) -> None:
        class Closing(Recorder):
            def reauthorize(self) -> None:
                self.close(4001, "log in again")

        websocket = Closing()
        with host.connect(websocket, max_lifetime=LIFETIME) as peer:
            assert peer.answer() == (4001, "log in again")
        assert host.wait_closed(websocket)[0] == 4001

    def test_hook_that_blocks_holds_up_the_messages_of_its_own_connection(self, host: Host) -> None:
        class Slow(Limited):
            def reauthorize(self) -> Any:
                with self.hook("reauthorize"):
                    if not self.asked:
                        peer.send("meanwhile")
                        host.sleep(0.1)
                    self.asked += 1
                    return self.asked < 3

        websocket = Slow()
        with host.connect(websocket, max_lifetime=LIFETIME) as peer:
            assert peer.read() == "meanwhile"
            assert peer.answer()[0] == 1008
        host.wait_closed(websocket)
        kinds = [event[0] for event in websocket.seen]
        assert kinds.index("reauthorize") < kinds.index("message")

    def test_lifetime_does_not_outlive_the_closing_handshake(self, host: Host) -> None:
        websocket = Limited()
        with host.connect(websocket, max_lifetime=0.2) as peer:
            assert peer.finish() == (1000, "")
        assert host.wait_closed(websocket) == (1000, "")
        assert websocket.asked == 0

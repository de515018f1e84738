"""Routing: what a path leads to, and what is wrong with a route is said when it is made."""

from __future__ import annotations

import re
import sys
import timeit
import uuid
from typing import Any

import pytest

from ws4py_middleware.core.policy import Policy
from ws4py_middleware.routing import Match, Route, Router


class Chat:
    pass


class Other:
    pass


def echo(ws: Any) -> None:
    pass


def chat(ws: Any, room: str) -> None:
    pass


def anything(ws: Any, **params: Any) -> None:
    pass


def may(environ: Any, **params: Any) -> bool:
    return True


def may_not(environ: Any, **params: Any) -> bool:
    return False


def find(routes: dict[str, Any], path: str) -> Match:
    match = Router(routes, Policy()).match(path)
    assert match is not None
    return match


def test_path_with_converters_gives_typed_params() -> None:
    number = uuid.uuid4()
    routes = {
        "/": Chat,
        "/s/<room>": Chat,
        "/i/<int:x>": Chat,
        "/f/<float:x>": Chat,
        "/p/<path:name>": Chat,
        "/u/<uuid:x>": Chat,
        "/a/<any(red, blue):x>/z": Chat,
    }
    assert find(routes, "/").params == {}
    assert find(routes, "").params == {}, "the root of a mounted application"
    assert find(routes, "/s/lobby").params == {"room": "lobby"}
    assert find(routes, "/i/007").params == {"x": 7}
    assert find(routes, "/f/1.5").params == {"x": 1.5}
    assert find(routes, "/p/a/b/c").params == {"name": "a/b/c"}
    assert find(routes, f"/u/{number}").params == {"x": number}
    assert find(routes, "/a/blue/z").params == {"x": "blue"}


@pytest.mark.parametrize(
    "path",
    [
        "/chat",
        "/chat/",
        "/chat/a/b",
        "/chat/a/",
        "//chat/a",
        "/CHAT/a",
        "/n/x",
        "/n/-1",
        "/slash",
        "/other",
        "/n/1\n",
    ],
)
def test_path_that_is_no_route_is_none(path: str) -> None:
    router = Router({"/chat/<room>": Chat, "/n/<int:x>": Chat, "/slash/": Chat}, Policy())
    assert router.match(path) is None


def test_trailing_slash_is_part_of_the_path() -> None:
    router = Router({"/a/": Chat, "/b": Other}, Policy())
    matches = [router.match(path) for path in ("/a/", "/a", "/b", "/b/")]
    assert [match and match.handler for match in matches] == [Chat, None, Other, None]


def test_slashes_at_the_beginning_are_not_merged() -> None:
    router = Router({"/<path:name>": Chat, "/chat": Chat}, Policy())
    assert router.match("//chat") is None
    assert router.match("/chat") is not None


def test_path_beyond_ascii_is_decoded_as_wsgi_says() -> None:
    routes = {"/größe/<wert>": Chat}
    path = "/größe/süß".encode().decode("latin-1")
    assert find(routes, path).params == {"wert": "süß"}
    assert Router({"/x/<room>": Chat}, Policy()).match("/x/\xff\xfe") is None, "not UTF-8"


def test_most_specific_route_wins_whatever_the_order() -> None:
    routes: dict[str, Any] = {"/<name>": Chat, "/fixed": Other}
    assert find(routes, "/fixed").handler is Other
    assert find(routes, "/else").handler is Chat


def test_params_are_each_match_s_own() -> None:
    router = Router({"/<name>": Chat}, Policy())
    first, second = router.match("/a"), router.match("/a")
    assert first is not None
    assert second is not None
    first.params["name"] = "changed"
    assert second.params == {"name": "a"}


def test_route_options_and_authorize_go_before_the_middlewares() -> None:
    routes: dict[str, Any] = {
        "/plain": Chat,
        "/own": Route(Chat, authorize=may_not, max_message_size=5),
    }
    router = Router(routes, Policy(max_message_size=9, ping_interval=3.0), authorize=may)
    plain, own = router.match("/plain"), router.match("/own")
    assert plain is not None
    assert own is not None
    assert (plain.policy.max_message_size, plain.authorize) == (9, may)
    assert (own.policy.max_message_size, own.policy.ping_interval, own.authorize) == (5, 3.0, may_not)


def test_adapt_makes_the_class_of_a_handler() -> None:
    def adapt(handler: Any) -> tuple[type[Any], Policy | None]:
        return type(handler.__name__, (), {}), Policy(max_fragments=4, max_message_size=5)

    router = Router({"/e": Route(echo, max_message_size=6)}, Policy(max_fragments=3), adapt=adapt)
    match = router.match("/e")
    assert match is not None
    assert match.handler.__name__ == "echo"
    assert (match.policy.max_fragments, match.policy.max_message_size) == (4, 6), (
        "the class', then the route's"
    )


def test_adapt_that_refuses_is_an_error_that_names_the_path() -> None:
    def refuse(handler: Any) -> tuple[type[Any], Policy | None]:
        raise TypeError("Chat is no WebSocket")

    with pytest.raises(TypeError, match=re.escape("routes['/c']: Chat is no WebSocket")):
        Router({"/c": Chat}, Policy(), adapt=refuse)


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("chat.Chat", "the handler is the string 'chat.Chat'; import the class"),
        (None, "the handler is None; it is a WebSocket class or a function"),
        (sys, "it is a WebSocket class or a function"),
        (Chat(), "give the class, Chat"),
        (7, "give the class, int"),
    ],
)
def test_handler_that_is_none_is_an_error_that_names_the_path(handler: Any, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape("routes['/c']: ") + ".*" + re.escape(message)):
        Router({"/c": handler}, Policy())


def test_function_that_does_not_take_the_params_is_an_error() -> None:
    Router({"/<room>": chat, "/a/<x>/<y>": anything, "/e": echo, "/built/in": print}, Policy())
    with pytest.raises(
        TypeError, match=r"routes\['/e/<room>'\]: echo.* does not take .*echo\(ws, room=...\)"
    ):
        Router({"/e/<room>": echo}, Policy())
    with pytest.raises(TypeError, match=r"routes\['/chat'\]: chat.*missing a required argument: 'room'"):
        Router({"/chat": Route(chat)}, Policy())
    with pytest.raises(TypeError, match="multiple values for argument 'ws'"):
        Router({"/<ws>": anything}, Policy())


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("chat", ValueError, "routes['chat']: a path begins with a slash: '/chat'"),
        ("", ValueError, "routes['']: a path begins with a slash"),
        (7, TypeError, "routes[7]: the path is no string"),
        ("/<foo:x>", ValueError, "routes['/<foo:x>']: "),
        ("/<x>/<x>", ValueError, "routes['/<x>/<x>']: "),
        ("/<x", ValueError, "routes['/<x']: "),
    ],
)
def test_path_that_cannot_be_parsed_is_an_error_that_names_it(
    path: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match="^" + re.escape(message)):
        Router({path: Chat}, Policy())


def test_routes_that_are_no_mapping_are_an_error() -> None:
    with pytest.raises(TypeError, match=r"routes is .*; it is a dict such as"):
        Router([("/chat", Chat)], Policy())  # type: ignore[arg-type]


def test_option_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="no option 'max_mesage_size'; did you mean 'max_message_size'"):
        Route(Chat, max_mesage_size=3)
    with pytest.raises(TypeError, match="no option 'authorise'; did you mean 'authorize'"):
        Route(Chat, authorise=may)
    with pytest.raises(TypeError, match="no option 'zzz'; there are authorize, byte_rate, close_timeout, "):
        Route(Chat, zzz=1)


def test_option_with_a_wrong_value_is_an_error() -> None:
    with pytest.raises(TypeError, match="max_message_size is '1 MiB'; it is a whole number"):
        Route(Chat, max_message_size="1 MiB")
    with pytest.raises(ValueError, match="ping_interval is 0"):
        Route(Chat, ping_interval=0)
    with pytest.raises(TypeError, match="authorize is 'x'; it is a function"):
        Route(Chat, authorize="x")  # type: ignore[arg-type]


def test_route_shows_what_it_is() -> None:
    assert repr(Route(echo)) == "Route(echo)"
    assert repr(Route(Chat, authorize=may, max_fragments=2)) == "Route(Chat, authorize=may, max_fragments=2)"


def test_request_of_the_application_costs_next_to_nothing() -> None:
    router = Router({f"/ws/{number}/<room>": Chat for number in range(50)}, Policy())
    seconds = min(timeit.repeat(lambda: router.match("/static/style.css"), number=1000, repeat=5)) / 1000
    assert seconds < 10e-6

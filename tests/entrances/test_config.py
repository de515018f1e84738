"""Routes from a dict or a TOML file, and what is said of one that is wrong."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.entrances.config_handlers import Chat, Outer, Small, count, is_member
from tests.entrances.in_process import ask, site
from tests.servers import ROOT
from ws4py_middleware import Policy, Route, WebSocketMiddleware
from ws4py_middleware.asgi import WebSocketASGI
from ws4py_middleware.config import ConfigError, read_config, routes_from, websockets_from_config
from ws4py_middleware.core.policy import DeflateOptions

HANDLERS = "tests.entrances.config_handlers"

WHOLE = f"""
[defaults]
idle_timeout = "2 min"
authorize = "{HANDLERS}:is_member"

[routes]
"/small" = "{HANDLERS}:Small"
"/inner/<room>" = {{ handler = "{HANDLERS}:Outer.Inner", ping_interval = "off" }}

[routes."/chat/<room>"]
handler = "{HANDLERS}:Chat"
max_message_size = "256 KiB"
ping_interval = 15
origins = [
    "https://a.example",
    "https://*.b.example",
]
subprotocols = ["chat.v2", "chat.v1"]
queue_policy = "disconnect"
compression = {{ level = 9 }}
"""


def match(app: Any, path: str) -> Any:
    found = app.router.match(path)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["ws4py_middleware.toml", "other.toml", "pyproject.toml", "."])
def test_toml_file_becomes_routes_with_their_policies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "pyproject.toml":
        text = WHOLE.replace("[defaults]", "[tool.ws4py_middleware.defaults]")
        text = '[project]\nname = "x"\n' + text.replace("[routes", "[tool.ws4py_middleware.routes")
    else:
        text = WHOLE
    Path("ws4py_middleware.toml" if name == "." else name).write_text(text)
    app = websockets_from_config(site, name)
    assert isinstance(app, WebSocketMiddleware)
    chat = match(app, "/chat/lobby")
    assert (chat.handler, chat.params, chat.authorize) == (Chat, {"room": "lobby"}, is_member)
    assert chat.policy == Policy(
        idle_timeout=120,
        max_message_size=256 * 1024,
        ping_interval=15,
        origins=["https://a.example", "https://*.b.example"],
        subprotocols=["chat.v2", "chat.v1"],
        queue_policy="disconnect",
        compression=DeflateOptions(level=9),
    )
    assert (match(app, "/inner/x").handler, match(app, "/inner/x").policy.ping_interval) == (
        Outer.Inner,
        None,
    )
    small = match(app, "/small")
    assert (small.handler, small.policy) == (
        Small,
        Small.policy,
    )  # the class' own policy, without the defaults
    assert ask(app, "/chat/lobby", HTTP_ORIGIN="https://a.example").status_code == 402
    assert ask(app, "/").text == "home"


def test_folder_without_a_file_of_its_own_has_a_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[tool.ws4py_middleware]\n"/small" = "{HANDLERS}:Small"\n')
    assert routes_from(tmp_path)["/small"].handler is Small


def test_dict_may_have_objects_and_routes_at_its_top() -> None:
    routes = routes_from(
        {
            "/chat/<room>": {"handler": Chat, "authorize": is_member, "max_message_size": "1k"},
            "/count/<int:start>": count,
            "/small": Route(Small, max_fragments=3, authorize=is_member),
            "routes": {"/again/<room>": f"{HANDLERS}:Chat"},
        }
    )
    assert list(routes) == ["/again/<room>", "/chat/<room>", "/count/<int:start>", "/small"]
    chat = routes["/chat/<room>"]
    assert (chat.handler, chat.authorize, chat.options) == (Chat, is_member, {"max_message_size": 1024})
    assert routes["/count/<int:start>"].handler is count
    small = routes["/small"]
    assert (small.handler, small.authorize, small.options) == (Small, is_member, {"max_fragments": 3})


def test_options_in_code_have_precedence_over_defaults() -> None:
    config = {"defaults": {"max_message_size": "1k", "max_fragments": 2}, "routes": {"/<room>": Chat}}
    policy = match(websockets_from_config(site, config, max_message_size=9), "/x").policy
    assert (policy.max_message_size, policy.max_fragments) == (9, 2)


async def asgi_site(scope: Any, receive: Any, send: Any) -> None: ...


class AsgiSite:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


@pytest.mark.parametrize(
    ("app", "asgi", "kind"),
    [
        (site, None, WebSocketMiddleware),
        (asgi_site, None, WebSocketASGI),
        (AsgiSite(), None, WebSocketASGI),
        (None, None, WebSocketASGI),
        (site, True, WebSocketASGI),
        (asgi_site, False, WebSocketMiddleware),
    ],
)
def test_entrance_is_that_of_the_application(app: Any, asgi: bool | None, kind: Any) -> None:
    entrance = websockets_from_config(app, {"defaults": {"max_fragments": 3}, "/<room>": Chat}, asgi=asgi)
    assert type(entrance) is kind
    assert entrance.app is app
    assert (match(entrance, "/lobby").handler, entrance.policy.max_fragments) == (Chat, 3)


def test_nothing_configured_is_an_application_without_routes() -> None:
    assert ask(websockets_from_config(site, {}), "/ws").status_code == 404


CHAT = f'handler = "{HANDLERS}:Chat"'


@pytest.mark.parametrize(
    ("text", "line", "key", "problem"),
    [
        (
            f'[routes]\n"/chat/<room>" = {{ {CHAT}, max_mesage_size = 1 }}',
            2,
            'routes."/chat/<room>".max_mesage_size',
            "there is no such setting; did you mean 'max_message_size'?",
        ),
        (
            f'# one\n[routes."/<room>"]\n{CHAT}\norigins = [\n  1,\n]\n',
            4,
            'routes."/<room>".origins',
            "origins has 1; its elements are strings",
        ),
        (
            f'[routes."/<room>"]\n{CHAT}\nping_interval = "15 minuets"\n',
            3,
            'routes."/<room>".ping_interval',
            "'15 minuets'; there is no unit 'minuets', did you mean 'minutes'?",
        ),
        ("[defaults]\n\nmax_fragments = 'x'", 3, "defaults.max_fragments", "'x'; it is a whole number"),
        (
            "[defaults]\nhandler = 'a:b'",
            2,
            "defaults.handler",
            "there is no such setting; there are max_mess",
        ),
        ("[defaults]\nautorize = 'a:b'", 2, "defaults.autorize", "did you mean 'authorize'?"),
        ("[default]\nmax_fragments = 1", 1, "default", "there is no such table; did you mean 'defaults'?"),
        ("max_fragments = 1", 1, "max_fragments", "settings for all routes stand in [defaults]"),
        ("chat = 1", 1, "chat", "there are [routes] and [defaults], and routes begin with a slash"),
        ("routes = 1", 1, "routes", "it is 1; it is a table"),
        (f'"/a" = "{HANDLERS}:Small"\n[routes]\n"/a" = "x:y"', 1, '"/a"', "it stands in [routes], too"),
        (
            '[routes]\n"/a" = { max_fragments = 1 }',
            2,
            'routes."/a"',
            "there is no handler; it is one such as",
        ),
        ('[routes]\n"/a" = { handlr = "a:b" }', 2, 'routes."/a".handlr', "did you mean 'handler'?"),
        ('[routes]\n"/a" = 5', 2, 'routes."/a"', "the handler is an instance, 5"),
        (f'[routes]\n"/a" = "{HANDLERS}:number"', 2, 'routes."/a"', "the handler is an instance, 7"),
        (
            '[routes]\n"/a" = { handler = "builtins:dict" }',
            2,
            'routes."/a".handler',
            "a subclass of WebSocket",
        ),
        (f'[routes]\n"/a/<room>" = "{HANDLERS}:count"', 2, 'routes."/a/<room>"', "does not take what it is"),
        (f'[routes]\na = "{HANDLERS}:Chat"', 2, "routes.a", "a path begins with a slash: '/a'"),
        (f'[routes]\n"/<a>/<a>" = "{HANDLERS}:Chat"', 2, 'routes."/<a>/<a>"', "a parameter is there twice"),
        (
            f'"/a" = {{ {CHAT}, authorize = "{HANDLERS}:number" }}',
            1,
            '"/a".authorize',
            "authorize is 7; it is",
        ),
        (f'"/a" = {{ {CHAT}, context = true }}', 1, '"/a".context', "context is True; it is a function"),
        (
            f'"/a" = {{ handler = "{HANDLERS}:Caht" }}',
            1,
            '"/a".handler',
            f"module '{HANDLERS}' has no 'Caht'; did you mean 'Chat'?",
        ),
        (f'"/a" = "{HANDLERS}:Outer.Iner"', 1, '"/a"', "'Outer' has no 'Iner'; did you mean 'Inner'?"),
        (
            '"/a" = "tests.entrances.config_handler:Chat"',
            1,
            '"/a"',
            f"there is no module 'tests.entrances.config_handler'; did you mean '{HANDLERS}'?",
        ),
        ('"/a" = "jsno:Chat"', 1, '"/a"', "there is no module 'jsno'; did you mean 'json'?"),
        (
            '"/a" = "zqzqzqzq.b:C"',
            1,
            '"/a"',
            "there is no module 'zqzqzqzq'; is the folder that it is in on sys",
        ),
        (
            '"/a" = "bisect.b:C"',
            1,
            '"/a"',
            "there is no module 'bisect.b': 'bisect' is a module, and no package",
        ),
        (
            f'"/a" = "{HANDLERS}.Chat"',
            1,
            '"/a"',
            f"is no import path; it is a module, a colon and a name: '{HANDLERS}:Chat'",
        ),
        ('"/a" = "a b:c"', 1, '"/a"', "it is a module, a colon and a name: 'chat.handlers:Chat'"),
    ],
)
def test_wrong_configuration_is_refused_with_line_key_and_what_would_be_right(
    tmp_path: Path, text: str, line: int, key: str, problem: str
) -> None:
    path = tmp_path / "ws4py_middleware.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(problem)) as refused:
        websockets_from_config(site, path)
    error = refused.value
    assert (error.file, error.key, error.line) == (str(path), key, line)
    assert str(error) == f"{path}:{line}: {key}: {error.problem}"


def test_error_in_pyproject_has_the_whole_key(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text('[project]\nname = "x"\n\n[tool.ws4py_middleware.defaults]\nturn_bytes = "off"\n')
    with pytest.raises(ConfigError, match=r":5: tool\.ws4py_middleware\.defaults\.turn_bytes: 'off'; it is"):
        read_config(path)


def write(text: str) -> Callable[[Path], Any]:
    def prepare(path: Path) -> None:
        path.write_text(text)

    return prepare


@pytest.mark.parametrize(
    ("name", "prepare", "problem"),
    [
        ("none.toml", lambda path: None, "there is no such file (we are in "),
        ("file.toml", write("[routes\n"), "it is no TOML: "),
        ("file.toml", lambda path: path.write_bytes(b"\xff"), "it cannot be read: "),
        ("pyproject.toml", write("[tool]\nruff = 1\n"), "it has no table [tool.ws4py_middleware]"),
        ("pyproject.toml", write("tool = 1\n"), "it has no table [tool.ws4py_middleware]"),
    ],
)
def test_file_that_is_none_is_refused(tmp_path: Path, name: str, prepare: Any, problem: str) -> None:
    prepare(tmp_path / name)
    with pytest.raises(ConfigError, match=re.escape(problem)) as refused:
        read_config(tmp_path / name)
    assert (refused.value.file, refused.value.key) == (str(tmp_path / name), "")


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (["tomllib"], f"{HANDLERS}:Small"),
        (["tomllib", "tomli"], "Python 3.10 cannot read TOML by itself: pip install ws4py_middleware[toml]"),
    ],
)
def test_toml_is_read_by_tomli_where_python_has_no_parser(
    tmp_path: Path, missing: list[str], expected: str
) -> None:
    path = tmp_path / "ws4py_middleware.toml"
    path.write_text(f'"/small" = "{HANDLERS}:Small"')
    code = f"""
import sys
sys.modules.update(dict.fromkeys({missing}))  # as if they were not installed
from ws4py_middleware.config.files import read_file
from ws4py_middleware.config import ConfigError
from pathlib import Path
try:
    print(read_file(Path(sys.argv[1]))[0]["/small"])
except ConfigError as error:
    print(error.problem)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, path],
        cwd=ROOT,
        check=True,
        timeout=60,
        capture_output=True,
    )
    assert done.stdout.decode().strip() == expected


def test_async_handler_under_wsgi_is_refused_with_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "ws4py_middleware.toml"
    path.write_text(f'"/small" = "{HANDLERS}:Small"\n[routes]\n"/later" = "{HANDLERS}:later"\n')
    with pytest.raises(ConfigError, match="the handler later is async, and a WSGI server has no") as refused:
        websockets_from_config(site, path)
    error = refused.value
    assert (error.file, error.key, error.line) == (str(path), 'routes."/later"', 3)
    assert type(error.__cause__) is TypeError
    assert websockets_from_config(asgi_site, path).router.match("/later") is not None


def test_error_survives_pickle_and_copy() -> None:
    error = ConfigError("a.toml", "routes", "it is 1; it is a table", 3)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert str(again) == str(error) == "a.toml:3: routes: it is 1; it is a table"
        assert vars(again) == vars(error)


def test_file_from_a_windows_editor_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ws4py_middleware.toml"
    text = f'[routes]\r\n"/small" = "{HANDLERS}:Small"\r\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert list(routes_from(path)) == ["/small"]
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("Small", "Smal").encode())
    with pytest.raises(ConfigError, match="did you mean 'Small'") as refused:
        routes_from(path)
    assert refused.value.line == 2


def test_wrong_dict_is_named_as_its_owner_names_it() -> None:
    with pytest.raises(ConfigError) as refused:
        read_config({"/a": {"handler": Chat, "ping_intervall": 1}}, name="settings.WEBSOCKETS")
    assert str(refused.value).startswith(
        'settings.WEBSOCKETS: "/a".ping_intervall: there is no such setting; did '
    )
    with pytest.raises(ConfigError, match="settings: it is 5; it is a dict, or the path of a TOML file"):
        read_config(5, name="settings")  # type: ignore[arg-type]


def test_option_in_code_that_is_wrong_is_an_error_of_the_configuration_too() -> None:
    with pytest.raises(ConfigError, match="there is no option 'max_mesage_size'; did you mean"):
        websockets_from_config(site, {}, max_mesage_size=1)


def test_module_that_raises_when_imported_is_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in {
        "raises_zero": "1 / 0",
        "lacks_module": "import zqzqzqzq",
        "not_python": "def",
        "asks_too_early": "from ws4py_middleware.config import routes_from\n"
        "routes_from({'/': 'asks_too_early:Chat'})\nclass Chat: pass",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    for module, kind, problem in [
        ("raises_zero", ZeroDivisionError, "cannot be imported: ZeroDivisionError: division by zero"),
        ("lacks_module", ModuleNotFoundError, "cannot be imported: No module named 'zqzqzqzq'"),
        ("not_python", SyntaxError, "cannot be imported: SyntaxError: "),
        (
            "asks_too_early",
            ConfigError,
            "has no 'Chat' yet: it is just being imported, and this is above its",
        ),
    ]:
        with pytest.raises(ConfigError, match=re.escape(problem)) as refused:
            routes_from({"/": f"{module}:Chat"})
        assert type(refused.value.__cause__) is kind

"""As much of a browser as a login needs: cookies and forms; and WebSockets by a foreign client."""

from __future__ import annotations

import contextlib
import html.parser
import http.client
import json
from urllib.parse import urlencode

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.entrances.wire import ask, build
from tests.servers import Response, Server

__all__ = ["Form", "Visitor"]


class Visitor:
    """Somebody on a site."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cookies: dict[str, str] = {}

    @property
    def cookie(self) -> str:
        """The header with what the site has set."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def ask(self, path: str, form: dict[str, str] | None = None, *, as_json: bool = False) -> Response:
        """Ask for a page, or send a form, in the way of forms or as JSON; redirects are not followed."""
        headers = {"Cookie": self.cookie, "Connection": "close"}
        body = None
        if form is not None:
            headers["Content-Type"] = f"application/{'json' if as_json else 'x-www-form-urlencoded'}"
            body = json.dumps(form) if as_json else urlencode(form)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET" if form is None else "POST", path, body, headers)
            response = connection.getresponse()
            answer = Response(response.status, response.headers, response.read())
        for line in answer.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def submit(self, page: str, **fields: str) -> Response:
        """Fill in the form of a page, and send it."""
        return self.ask(page, {**Form(self.ask(page).body).fields, **fields})

    def connect(self, path: str, **headers: str) -> ClientConnection:
        """Open a WebSocket, as a page of the site does."""
        fields = {**headers, **({"Cookie": self.cookie} if self.cookies else {})}
        return connect(
            f"{self.server.ws_url}{path}",
            origin=Origin(self.server.url),
            additional_headers=fields,
            proxy=None,
        )

    def refusal(self, path: str) -> int:
        """Ask for a WebSocket that is not given, and return the status; 101 if it is given."""
        host = self.server.url.removeprefix("http://")
        headers = {"Host": host, "Origin": self.server.url, "Cookie": self.cookie}
        return ask(self.server.connect(), build(path, headers)).status


class Form(html.parser.HTMLParser):
    """The fields of a page's form that are filled in already."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if tag == "input" and found.get("name") and found.get("value"):
            self.fields[str(found["name"])] = str(found["value"])

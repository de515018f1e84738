"""examples/tornado_client passes on what is posted, comes back when its server does, and says goodbye."""

from __future__ import annotations

import http.client

from tests.entrances.tornado_host import tornado_server
from tests.servers import Server, free_port, start, wait_for


def post(server: Server, body: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("POST", "/", body.encode())
        return connection.getresponse().status
    finally:
        connection.close()


def test_page_shows_the_answer_and_the_client_comes_back() -> None:
    port = free_port()
    options = ["--upstream", f"ws://127.0.0.1:{port}/echo"]
    with start("script", "examples/tornado_client/app.py", options=options) as page:

        def check(said: str) -> None:
            wait_for(lambda: post(page, said) == 202)
            wait_for(lambda: page.http("/").body == said.encode())

        wait_for(lambda: "s: [Errno 111] no connection to" in page.log)
        assert page.http("/").body == b"nothing yet"
        assert post(page, "too early") == 503
        with tornado_server(port=port):
            check("Grüße")
        with tornado_server(port=port) as server:
            check("once more")
            page.signal()
            assert page.process.wait(10) == 0
            wait_for(lambda: bool(server.ends))
            assert server.ends == [(1001, "The page is going away")]
        assert "closed 1001" in page.log
        assert page.log.count("connected\n") == 2
        assert "Traceback" not in page.log

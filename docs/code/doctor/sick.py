"""The same shop, with a middleware in the wrong place."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from app import app as shop


class Rewind:
    """Lets everybody read the body of a request again."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        size = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(size))
        body: Iterable[bytes] = self.app(environ, start_response)
        return body


app = Rewind(shop)

from __future__ import annotations

from ws4py_middleware import browser

config = {
    "/replay.js": {"tools.staticfile.on": True, "tools.staticfile.filename": browser.path("replay.js")},
}

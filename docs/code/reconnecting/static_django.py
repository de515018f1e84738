from __future__ import annotations

from ws4py_middleware import browser

# Of the settings; in templates it is {% static "ws4py/replay.js" %}, also after collectstatic.
STATICFILES_DIRS = [("ws4py", browser.directory())]

"""Pages. The WebSocket routes are in the settings."""

from __future__ import annotations

from pathlib import Path

from django.urls import include, path
from django.views.static import serve

STATIC = Path(__file__).resolve().parent.parent / "chat" / "static"

urlpatterns = [
    path("", include("chat.urls")),
    # Enough for an example; a real site leaves this to the web server.
    path("static/<path:path>", serve, {"document_root": STATIC}),
]

from __future__ import annotations

SECRET_KEY = "yours"
ALLOWED_HOSTS = ["localhost"]
WEBSOCKETS = {
    "/chat/<room>": {"handler": "chat.handlers:Chat", "authorize": "chat.members:is_member"},
}

from __future__ import annotations

from ws4py_middleware import Policy, WebSocket

logged_in = {"ann"}  # your sessions


class Chat(WebSocket):
    policy = Policy(max_lifetime=3600)

    def reauthorize(self) -> bool:
        return self.environ.get("user_id") in logged_in

from __future__ import annotations

from ws4py_middleware.hub import Hub, set_hub

by_number = Hub(history=100)  # the last 100 messages of each room
by_age = Hub("redis://localhost:6379/0", history="5 min")  # what is not older: s, min, h or d
by_room = Hub(history=lambda room: 50 if room.startswith("chat/") else None)

set_hub(by_number)  # one of them

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from ws4py_middleware import upgrade
from ws4py_middleware.hub import get_hub

from .handlers import Chat


# [upgrade]
@login_required
def chat(request: HttpRequest, room: str) -> Any:
    if room == "board" and request.user.get_username() != "grace":
        return HttpResponse("You are not on the board.", status=403)
    return upgrade(Chat, room=room)  # an HttpResponse, too


# [/upgrade]


# [publish]
@require_POST
@permission_required("auth.change_user", raise_exception=True)
def announce(request: HttpRequest, room: str) -> HttpResponse:
    return HttpResponse(f"told {get_hub().publish(room, request.POST['text'])}")


# [/publish]

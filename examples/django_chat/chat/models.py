"""What was said."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models


class Message(models.Model):
    """One message in one room."""

    room: models.CharField[str, str] = models.CharField(max_length=64, db_index=True)
    author: models.ForeignKey[Any, Any] = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    text: models.TextField[str, str] = models.TextField()
    at: models.DateTimeField[Any, Any] = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"#{self.room} {self.author}: {self.text}"

    def public(self) -> dict[str, Any]:
        """Return what browsers are told."""
        return {
            "id": self.pk,
            "from": self.author.get_username(),
            "text": self.text,
            "at": self.at.timestamp(),
        }

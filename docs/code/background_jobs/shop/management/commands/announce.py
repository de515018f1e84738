from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ws4py_middleware.hub import get_hub


class Command(BaseCommand):
    help = "Tell everybody who has the page open."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("text")

    def handle(self, *args: Any, **options: Any) -> None:
        get_hub().publish("news", options["text"])

from __future__ import annotations

import json
import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_shutdown

from live import hub

celery = Celery("tasks", broker=os.environ.get("REDIS_URL", "redis://localhost:6379/0"))


@celery.task(bind=True, ignore_result=True)
def report(self: Any, pages: int) -> None:
    room = f"job/{self.request.id}"
    for page in range(1, pages + 1):
        # Here a page is made.
        hub.publish(room, json.dumps({"page": page, "of": pages}))
    hub.publish(room, json.dumps({"done": True}))


@worker_process_shutdown.connect
def send_what_waits(**options: Any) -> None:
    hub.close()  # Celery's processes leave without Python's exit

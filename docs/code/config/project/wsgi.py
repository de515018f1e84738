from __future__ import annotations

import os

from ws4py_middleware.config.django import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

application = get_wsgi_application()

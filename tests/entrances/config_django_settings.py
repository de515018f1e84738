"""The settings of the Django projects here: routes, and a database in a file."""

from __future__ import annotations

import os

from tests.entrances.config_handlers import Chat

DEBUG = False
SECRET_KEY = "tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.entrances.config_django_urls"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("TEST_DATABASE", ":memory:"),
        "CONN_MAX_AGE": int(os.environ.get("TEST_MAX_AGE", "0")),
    }
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

_HANDLERS = "tests.entrances.config_django_handlers"
WEBSOCKETS = {
    "defaults": {"ping_interval": "off"},
    "/chat/<room>": {"handler": Chat, "authorize": f"{_HANDLERS}:is_somebody"},
    "/count": {"handler": f"{_HANDLERS}:Count", "max_message_size": "1k"},
    "/function": f"{_HANDLERS}:count",
    "/atomic": f"{_HANDLERS}:count_in_a_transaction",
    "/who": {"handler": f"{_HANDLERS}:Who", "authorize": f"{_HANDLERS}:is_somebody"},
}

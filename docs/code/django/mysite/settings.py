from __future__ import annotations

from pathlib import Path

# [websockets]
WEBSOCKETS = {
    "/live/<room>": {
        "handler": "live.handlers:Chat",
        "authorize": "live.handlers:is_logged_in",
        "max_message_size": "16 KiB",
    },
}
# [/websockets]

DEBUG = True
SECRET_KEY = "for your own machine only"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "mysite.urls"
WSGI_APPLICATION = "mysite.wsgi.application"
INSTALLED_APPS = ["live", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(__file__).resolve().parents[1] / "db.sqlite3",
    }
}
LOGIN_URL = "/login/"
USE_TZ = True

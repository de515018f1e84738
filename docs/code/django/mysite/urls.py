from __future__ import annotations

from django.contrib.auth.views import LoginView
from django.urls import path

from live import views

urlpatterns = [
    path("login/", LoginView.as_view()),
    path("chat/<str:room>/", views.chat),
    path("announce/<str:room>/", views.announce),
]

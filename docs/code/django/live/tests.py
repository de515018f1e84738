from __future__ import annotations

from django.contrib.auth.models import User
from django.test import TestCase

from mysite.wsgi import application
from ws4py_middleware.testing import HandshakeRefused, WebSocketTestClient


class ChatTest(TestCase):
    def test_session_decides(self) -> None:
        with WebSocketTestClient(application, authority="localhost") as visitor:
            with self.assertRaises(HandshakeRefused) as refused:
                visitor.connect("/live/lobby")
            self.assertEqual(refused.exception.response.status, 403)

            self.client.force_login(User.objects.create_user("ada"))  # by Django's own test client
            visitor.cookies |= {name: cookie.value for name, cookie in self.client.cookies.items()}
            with visitor.connect("/live/lobby") as ws:
                self.assertEqual(ws.receive(), "Welcome, ada!")
                ws.send("hello")
                self.assertEqual(ws.receive(), "ada: hello")

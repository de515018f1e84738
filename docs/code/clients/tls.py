from __future__ import annotations

import ssl

from ws4py_middleware.client import WebSocketBaseClient

trusting = ssl.create_default_context(cafile="ca.pem")
client = WebSocketBaseClient("wss://localhost:9443/echo", ssl_options=trusting)
unverified = WebSocketBaseClient("wss://localhost:9443/echo", ssl_options={"cert_reqs": ssl.CERT_NONE})

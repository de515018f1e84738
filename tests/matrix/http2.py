"""A WebSocket in a stream of HTTP/2, RFC 8441, with what a raw socket has: send, receive, close."""

from __future__ import annotations

import ssl
from typing import cast

import h2.config
import h2.connection
import h2.events
import h2.settings

from tests.servers import Server, certificates


class Http2Socket:
    """
    One connection with one stream; where a socket ends, the stream does.

    The upgrade has been asked for, and answered with ``status``, when this has been made.
    """

    def __init__(self, server: Server, path: str, early: bytes = b"") -> None:
        self._sock = server.connect(context=_client_context() if server.tls else None)
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._data = b""
        self._ended = False
        self._settled = False
        self._stream = 1
        self.status = 0
        self._http.initiate_connection()
        self._flush()
        while not self._settled:
            self._receive()
        assert self._http.remote_settings.enable_connect_protocol, "no WebSockets over HTTP/2 here"
        fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", path)]
        fields += [(":authority", "localhost"), ("sec-websocket-version", "13")]
        self._http.send_headers(self._stream, fields)
        for start in range(0, len(early), self._http.max_outbound_frame_size):
            self._http.send_data(self._stream, early[start : start + self._http.max_outbound_frame_size])
        self._flush()
        while not self.status:
            self._receive()

    def settimeout(self, timeout: float) -> None:
        self._sock.settimeout(timeout)

    def sendall(self, data: bytes) -> None:
        while data:
            size = min(
                len(data),
                self._http.local_flow_control_window(self._stream),
                self._http.max_outbound_frame_size,
            )
            if not size:
                self._receive()
                continue
            self._http.send_data(self._stream, data[:size])
            data = data[size:]
            self._flush()

    def recv(self, size: int) -> bytes:
        while not self._data and not self._ended:
            self._receive()
        data, self._data = self._data[:size], self._data[size:]
        return data

    def close(self) -> None:
        self._sock.close()

    def _flush(self) -> None:
        self._sock.sendall(self._http.data_to_send())

    def _receive(self) -> None:
        data = self._sock.recv(256 * 1024)
        if not data:
            raise ConnectionResetError("the connection ended before the stream")
        for event in self._http.receive_data(data):
            match event:
                case h2.events.RemoteSettingsChanged():
                    self._settled = True
                case h2.events.ResponseReceived():
                    fields = dict(cast("list[tuple[str, str]]", event.headers))
                    self.status = int(fields[":status"])
                case h2.events.DataReceived():
                    self._data += event.data
                    self._http.acknowledge_received_data(event.flow_controlled_length, self._stream)
                case h2.events.StreamEnded():
                    self._ended = True
                case h2.events.StreamReset():
                    raise ConnectionResetError("the stream was reset")
                case h2.events.ConnectionTerminated():
                    self._ended = True
        self._flush()


def _client_context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates()[2]))
    context.set_alpn_protocols(["h2"])
    return context

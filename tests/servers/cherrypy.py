"""CherryPy on its own server, with each of two TLS libraries, and with the gateway that is not WSGI's."""

from __future__ import annotations

from tests.servers.kinds import Kind, Setup


def _run(setup: Setup) -> None:
    import cherrypy

    from ws4py_middleware.server.cherrypyserver import WebSocketPlugin

    config = {
        "server.socket_host": "127.0.0.1",
        "server.socket_port": setup.port,
        "server.thread_pool": setup.threads,
        "server.thread_pool_max": setup.threads,
        "engine.autoreload.on": False,
    }
    if setup.pem:
        config["server.ssl_module"] = "pyopenssl" if setup.kind.endswith("pyopenssl") else "builtin"
        config["server.ssl_certificate"], config["server.ssl_private_key"] = setup.pem
    cherrypy.config.update(config)
    cherrypy.tree.mount(setup.load(), "")
    if not cherrypy.engine.listeners.get("websocket-broadcast"):
        # The application has brought no plugin of its own.
        WebSocketPlugin(cherrypy.engine).subscribe()
    if setup.kind.endswith("native"):
        from cherrypy._cpnative_server import CPHTTPServer

        cherrypy.server.httpserver = CPHTTPServer(cherrypy.server)
    cherrypy.engine.signals.subscribe()
    cherrypy.engine.start()
    cherrypy.engine.block()


#: The application is a ``cherrypy.Application``.
FAMILY = {
    "cherrypy": Kind(run=_run, interface="cherrypy", threaded=True),
    "cherrypy-pyopenssl": Kind(run=_run, interface="cherrypy", threaded=True, plain=False),
    "cherrypy-native": Kind(run=_run, interface="cherrypy", threaded=True),
}

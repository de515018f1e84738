"""
The protocol, sans I/O: bytes in, events and bytes out.

Nothing in here knows a socket, a thread, a clock, a file or a framework; time
is an argument. See :mod:`ws4py_middleware.core.connection` for the way in.
"""

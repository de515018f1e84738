"""
``doctor``: what works of WebSockets on a server, setting by setting, and what to do about what does not.

================  ==================================================================================
``kinds``         all that can be found, in one table
``findings``      findings as data
``peer``          a client that shows what happens on the wire
``subject``       whom the checks are about
``refusals``      what a refused handshake means
``talk``, ``tls``  what is asked of every WebSocket
``site``          a site, from outside
``programs``      the server programs: how each is put on loopback
``running``       a server that was started, and its processes
``inside``        what an application says of itself
``server``        all of that for a command
``candidates``    the servers that are installed
``tables``        what is printed
================  ==================================================================================
"""

from __future__ import annotations

from .command import doctor

__all__ = ["doctor"]

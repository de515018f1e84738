"""How gevent's clients come back: in a greenlet, which is there while they are away."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import gevent

from .away import Attempt, Campaign, Wait
from .backoff import Backoff
from .returning import BlockingReconnecting

if TYPE_CHECKING:
    from ..greenlets import GreenletManager
    from ..inbox import Waiter
    from . import WebSocketBaseClient

__all__ = ["GreenletReconnecting"]


class GreenletReconnecting(BlockingReconnecting):
    """
    For clients in greenlets.

    Args:
        client, backoff: As for all.
        get_manager: Returns the manager of the calling thread's hub.
    """

    def __init__(
        self, client: WebSocketBaseClient, backoff: Backoff, get_manager: Callable[[], GreenletManager]
    ) -> None:
        super().__init__(client, backoff)
        self._get_manager = get_manager
        self._manager: GreenletManager | None = None
        #: The greenlet that dials.
        self._dialing: Any = None

    def connect(self) -> None:
        """Connect, as the application wants, in the hub of the thread that asks."""
        self._manager = self._get_manager()
        super().connect()

    def _current(self) -> Hashable:
        return gevent.getcurrent()

    def _make_waiter(self) -> Waiter:
        assert self._manager is not None
        return self._manager.make_waiter()

    def _begin(self, campaign: Campaign) -> None:
        assert self._manager is not None
        name = f"{type(self.client).__name__} comes back"
        self._manager.spawn(functools.partial(self._carry_out, campaign), name)

    def _call_off(self, campaign: Campaign) -> None:
        dialing = self._dialing
        if dialing is not None and self._manager is not None:
            self._manager.spawn(functools.partial(dialing.kill, block=False), "")

    def _carry_out(self, campaign: Campaign) -> None:
        manager = self._manager
        self._worker = me = gevent.getcurrent()
        try:
            while self.campaign is campaign and (step := campaign.step) is not None:
                if manager is not None and manager.is_ending:
                    self.stop()
                    return
                if isinstance(step, Wait):
                    while self._pause(lambda: self.campaign is not campaign, step.until):
                        if self.campaign is not campaign:
                            return
                self._finish(campaign, self._do(campaign, step))
        except BaseException:
            self._abandon(campaign)  # somebody has killed this greenlet
            raise
        finally:
            if self._worker is me:
                self._worker = None

    def _do(self, campaign: Campaign, step: Any) -> Exception | None:
        if isinstance(step, Attempt):
            self._dialing = gevent.getcurrent()
            try:
                return super()._do(campaign, step)
            finally:
                self._dialing = None
        return super()._do(campaign, step)

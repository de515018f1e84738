"""Extensions of the protocol: what may transform frames, and how it is negotiated (:rfc:`6455#section-9`)."""

from __future__ import annotations

from ..policy import Policy
from .base import ExtensionFactory
from .deflate import DeflateFactory

__all__ = ["get_factories"]


def get_factories(policy: Policy) -> list[ExtensionFactory]:
    """Return those who negotiate the extensions that a policy switches on, best first."""
    options = policy.deflate
    return [] if options is None else [DeflateFactory(options)]

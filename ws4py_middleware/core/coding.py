"""Coding: an extension at work in one direction of a connection, and what it has made of what."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .extensions.base import Extension

__all__ = ["Coding"]


class Coding:
    """
    An extension, and the sizes of what went through it; a connection without one has none of this.

    Args:
        extension: The codec.
    """

    __slots__ = ("extension", "packed", "plain")

    def __init__(self, extension: Extension) -> None:
        self.extension = extension
        #: Bytes on the wire, and what they stand for.
        self.packed = self.plain = 0

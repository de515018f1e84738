"""
What an extension is: a codec for one connection, and the one who negotiates it.

:rfc:`6455#section-9` lets extensions do nearly anything to frames. Those that
are registered, and those that browsers speak, transform the payload of messages
and mark them with RSV1; that is what is modelled here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from typing import ClassVar

from ...exc import HandshakeError
from ..headers import ExtensionOffer, Param, quote
from ..types import Buffer

__all__ = ["Extension", "ExtensionFactory", "accept_extensions", "check_extensions"]


class Extension(ABC):
    """The codec of one connection; it sees data frames only, in order."""

    __slots__ = ()

    #: As registered with IANA.
    name: ClassVar[str]
    #: Whether it owns RSV1 on the first frame of a message.
    rsv1: ClassVar[bool]

    @property
    @abstractmethod
    def share_key(self) -> Hashable | None:
        """
        What an encoded message depends on beside its payload.

        Messages that were encoded under the same key are the same bytes, so one
        can be sent to many connections; ``None`` when each depends on the ones
        that were sent before it.
        """

    @property
    def shareable(self) -> bool:
        """Whether a message's encoding may be sent on other connections, too."""
        return self.share_key is not None

    @abstractmethod
    def encode_message(self, payload: Buffer) -> bytes | None:
        """
        Encode a whole message.

        Returns:
            What is to be sent with RSV1 set, or ``None`` when the message is
            better sent as it is, without RSV1.
        """

    @abstractmethod
    def encode_fragment(self, payload: Buffer, fin: bool) -> bytes:
        """
        Encode the next fragment of a message that is sent in several frames.

        The peer can decode what it was given so far with each fragment. RSV1 is set on the
        first frame only.
        """

    @abstractmethod
    def decode_frame(self, payload: Buffer, fin: bool, max_size: int | None) -> bytes:
        """
        Decode the payload of the next data frame of a message that came with RSV1.

        Args:
            payload: Unmasked. Not modified.
            fin: Whether it is the last frame of its message.
            max_size: What is left of the limit for the message, in bytes; ``None``: no limit.

        Raises:
            FrameTooLargeException: More than ``max_size`` bytes would come out (1009);
                not many more were made.
            InvalidBytesError: The payload does not decode (1007).

        After either, the connection is to be failed.
        """


class ExtensionFactory(ABC):
    """Negotiates one extension, for many connections; it has no state of any of them."""

    __slots__ = ()

    name: ClassVar[str]

    @abstractmethod
    def accept(self, params: Sequence[Param]) -> tuple[Extension, tuple[Param, ...]] | None:
        """
        Consider a client's offer.

        Returns:
            The codec and the parameters to answer with, or ``None`` to decline.
        """

    @abstractmethod
    def build_offer(self) -> ExtensionOffer:
        """Return what a client offers."""

    @abstractmethod
    def check_response(self, params: Sequence[Param]) -> Extension:
        """
        Consider a server's answer to :meth:`build_offer`.

        Raises:
            ValueError: It is not an answer to that.
        """


def accept_extensions(
    offers: Iterable[ExtensionOffer], factories: Sequence[ExtensionFactory]
) -> tuple[list[Extension], list[ExtensionOffer]]:
    """
    Choose among a client's offers: of each extension the first acceptable one.

    Returns:
        The codecs, and the elements to answer with.
    """
    by_name = {factory.name: factory for factory in factories}
    extensions: list[Extension] = []
    answers: list[ExtensionOffer] = []
    for offer in offers:
        factory = by_name.get(offer.name)
        accepted = factory.accept(offer.params) if factory is not None else None
        if accepted is not None:
            del by_name[offer.name]
            extensions.append(accepted[0])
            answers.append(ExtensionOffer(offer.name, accepted[1]))
    return extensions, answers


def check_extensions(
    answers: Iterable[ExtensionOffer], factories: Sequence[ExtensionFactory]
) -> list[Extension]:
    """
    Check a server's answer to our offers.

    Raises:
        HandshakeError: It has an extension that was not offered, one twice, or
            parameters that do not fit the offer: :rfc:`6455#section-4.1`.
    """
    by_name = {factory.name: factory for factory in factories}
    extensions = []
    for answer in answers:
        factory = by_name.pop(answer.name, None)
        if factory is None:
            raise HandshakeError(
                f"the server answered with the extension {quote(answer.name)}, not offered or there twice"
            )
        try:
            extensions.append(factory.check_response(answer.params))
        except ValueError as error:
            raise HandshakeError(f"the server's {answer.name} is not what was offered: {error}") from None
    return extensions

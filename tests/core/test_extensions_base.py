from __future__ import annotations

from collections.abc import Hashable, Sequence

import pytest

from ws4py_middleware.core.extensions import get_factories
from ws4py_middleware.core.extensions.base import (
    Extension,
    ExtensionFactory,
    accept_extensions,
    check_extensions,
)
from ws4py_middleware.core.extensions.deflate import DeflateFactory
from ws4py_middleware.core.headers import ExtensionOffer, Param
from ws4py_middleware.core.policy import DeflateOptions, Policy
from ws4py_middleware.core.types import Buffer
from ws4py_middleware.exc import HandshakeError


class Rot(Extension):
    """An extension with one parameter, shareable when it is even."""

    name = "x-rot"
    rsv1 = True

    def __init__(self, by: int) -> None:
        self.by = by

    @property
    def share_key(self) -> Hashable | None:
        return None if self.by % 2 else self.by

    def encode_message(self, payload: Buffer) -> bytes | None:
        return bytes((byte + self.by) % 256 for byte in payload)

    def encode_fragment(self, payload: Buffer, fin: bool) -> bytes:
        return self.encode_message(payload) or b""

    def decode_frame(self, payload: Buffer, fin: bool, max_size: int | None) -> bytes:
        return bytes((byte - self.by) % 256 for byte in payload)


class RotFactory(ExtensionFactory):
    name = "x-rot"

    def accept(self, params: Sequence[Param]) -> tuple[Extension, tuple[Param, ...]] | None:
        by = int(params[0].value or "0") if params else 0
        return (Rot(by), (Param("by", str(by)),)) if by else None

    def build_offer(self) -> ExtensionOffer:
        return ExtensionOffer(self.name, (Param("by", "13"),))

    def check_response(self, params: Sequence[Param]) -> Extension:
        if list(params) != [Param("by", "13")]:
            raise ValueError("by is not 13")
        return Rot(13)


class OtherFactory(RotFactory):
    name = "x-other"


def rot(by: int) -> ExtensionOffer:
    return ExtensionOffer("x-rot", (Param("by", str(by)),))


def test_extension_is_shareable_when_it_has_a_key() -> None:
    assert Rot(2).shareable
    assert not Rot(3).shareable


def test_accept_extensions_first_acceptable_offer_of_each() -> None:
    extensions, answers = accept_extensions(
        [
            ExtensionOffer("x-rot"),
            ExtensionOffer("x-unknown"),
            rot(0),
            rot(5),
            rot(7),
            ExtensionOffer("x-other"),
        ],
        [RotFactory(), OtherFactory()],
    )
    assert [extension.by for extension in extensions if isinstance(extension, Rot)] == [5]
    assert answers == [rot(5)]


def test_accept_extensions_of_several_in_the_order_of_the_offers() -> None:
    other = ExtensionOffer("x-other", (Param("by", "1"),))
    assert accept_extensions([other, rot(2)], [RotFactory(), OtherFactory()])[1] == [other, rot(2)]


def test_accept_extensions_without_any_of_ours_none_is_accepted() -> None:
    assert accept_extensions([rot(5)], []) == ([], [])
    assert accept_extensions([], [RotFactory()]) == ([], [])


def test_check_extensions_what_was_offered_is_taken() -> None:
    assert check_extensions([], [RotFactory()]) == []
    (extension,) = check_extensions([RotFactory().build_offer()], [RotFactory(), OtherFactory()])
    assert isinstance(extension, Rot)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([ExtensionOffer("x-unknown")], "'x-unknown', not offered"),
        ([rot(13), rot(13)], "there twice"),
        ([rot(12)], "x-rot is not what was offered: by is not 13"),
    ],
)
def test_check_extensions_other_answers_are_refused(answers: list[ExtensionOffer], reason: str) -> None:
    with pytest.raises(HandshakeError, match=reason):
        check_extensions(answers, [RotFactory()])


@pytest.mark.parametrize("compression", [True, DeflateOptions(level=1)])
def test_get_factories_compression_is_on_when_it_was_asked_for(compression: bool | DeflateOptions) -> None:
    (factory,) = get_factories(Policy(compression=compression))
    assert isinstance(factory, DeflateFactory)
    assert get_factories(Policy()) == []

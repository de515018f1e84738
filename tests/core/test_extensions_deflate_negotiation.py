"""core.extensions.deflate: what is offered, answered and agreed on."""

from __future__ import annotations

import pytest

from ws4py_middleware.core.extensions.deflate import DeflateFactory, DeflateParams, build_params, parse_params
from ws4py_middleware.core.headers import Param, build_extensions, parse_extensions
from ws4py_middleware.core.policy import DeflateOptions

FORGET = "server_no_context_takeover; client_no_context_takeover"


def params(text: str) -> tuple[Param, ...]:
    (offer,) = parse_extensions([f"permessage-deflate{text and '; ' + text}"])
    return offer.params


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("", DeflateParams()),
        ("server_no_context_takeover", DeflateParams(server_no_context_takeover=True)),
        ("client_no_context_takeover", DeflateParams(client_no_context_takeover=True)),
        ("server_max_window_bits=8", DeflateParams(server_max_window_bits=8)),
        ("client_max_window_bits", DeflateParams(client_max_window_bits=0)),
        ("client_max_window_bits=15", DeflateParams(client_max_window_bits=15)),
        (
            f"{FORGET}; server_max_window_bits=10; client_max_window_bits=11",
            DeflateParams(True, True, 10, 11),
        ),
    ],
)
def test_parse_params_valid_ones_and_back(text: str, parsed: DeflateParams) -> None:
    assert parse_params(params(text)) == parsed
    assert build_params(parsed) == params(text)


INVALID = [
    "unknown",
    "unknown=1",
    "Server_No_Context_Takeover",
    "server_no_context_takeover; server_no_context_takeover",
    "client_no_context_takeover; client_no_context_takeover",
    "server_max_window_bits=10; server_max_window_bits=10",
    "client_max_window_bits; client_max_window_bits=10",
    "server_no_context_takeover=1",
    "client_no_context_takeover=true",
    'client_no_context_takeover="true"',
    "server_max_window_bits",
    *(
        f"{side}_max_window_bits={value}"
        for side in ("server", "client")
        for value in ("0", "7", "16", "08", "010", "+10", "-10", "1e1", "10.0", "x", '"10"', "9" * 5000)
    ),
]


@pytest.mark.parametrize("text", INVALID)
def test_accept_an_invalid_offer_is_declined_and_an_invalid_answer_refused(text: str) -> None:
    assert DeflateFactory(DeflateOptions()).accept(params(text)) is None
    with pytest.raises(ValueError, match=r".") as caught:
        DeflateFactory(DeflateOptions()).check_response(params(text))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", ["\u0661\u0660", "\xb9", "1\n", ""])
def test_parse_params_only_ascii_digits_are_numbers(value: str) -> None:
    with pytest.raises(ValueError, match="it is 8 to 15"):
        parse_params([Param("server_max_window_bits", value)])


NONE = DeflateOptions(server_max_window_bits=15, client_max_window_bits=15)
SHARED = DeflateOptions(shared=True)
FRUGAL = DeflateOptions(server_no_context_takeover=True, client_no_context_takeover=True)


@pytest.mark.parametrize(
    ("options", "offer", "answer", "agreed"),
    [
        # encoder bits, decoder bits, keep encoder, keep decoder: of the server
        (NONE, "", "", (15, 15, True, True)),
        (NONE, "client_max_window_bits", "client_max_window_bits=15", (15, 15, True, True)),
        (NONE, "server_max_window_bits=15", "server_max_window_bits=15", (15, 15, True, True)),
        (NONE, "server_max_window_bits=9", "server_max_window_bits=9", (9, 15, True, True)),
        (NONE, "server_max_window_bits=8", "server_max_window_bits=8", (8, 15, True, True)),
        (NONE, "client_max_window_bits=8", "client_max_window_bits=8", (15, 9, True, True)),
        (NONE, "server_no_context_takeover", "server_no_context_takeover", (15, 15, False, True)),
        (NONE, "client_no_context_takeover", "client_no_context_takeover", (15, 15, True, False)),
        # Without client_max_window_bits the client is not to be told.
        (DeflateOptions(), "", "server_max_window_bits=12", (12, 15, True, True)),
        (
            DeflateOptions(),
            "client_max_window_bits",
            "server_max_window_bits=12; client_max_window_bits=12",
            (12, 12, True, True),
        ),
        (
            DeflateOptions(),
            "server_max_window_bits=14; client_max_window_bits=10",
            "server_max_window_bits=12; client_max_window_bits=10",
            (12, 10, True, True),
        ),
        # What is shared is told the client, asked for or not, section 7.1.1.1.
        (SHARED, "", "server_no_context_takeover; server_max_window_bits=12", (12, 15, False, True)),
        (
            SHARED,
            "client_max_window_bits",
            "server_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12",
            (12, 12, False, True),
        ),
        (
            FRUGAL,
            "server_max_window_bits=10",
            "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10",
            (10, 15, False, False),
        ),
    ],
)
def test_accept_the_answer_is_the_smaller_of_both_wishes(
    options: DeflateOptions, offer: str, answer: str, agreed: tuple[int, int, bool, bool]
) -> None:
    accepted = DeflateFactory(options).accept(params(offer))
    assert accepted is not None
    extension, answered = accepted
    assert answered == params(answer)
    assert repr(extension) == (
        "Deflate(encoder_bits={}, decoder_bits={}, keep_encoder={}, keep_decoder={})".format(*agreed)
    )


@pytest.mark.parametrize(
    ("options", "offer"),
    [
        (NONE, "permessage-deflate; client_max_window_bits"),
        (DeflateOptions(), "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"),
        (SHARED, "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"),
        (
            FRUGAL,
            f"permessage-deflate; {FORGET}; server_max_window_bits=12; client_max_window_bits=12",
        ),
    ],
)
def test_build_offer_says_what_the_options_say(options: DeflateOptions, offer: str) -> None:
    assert build_extensions([DeflateFactory(options).build_offer()]) == offer


@pytest.mark.parametrize(
    ("options", "answer", "agreed"),
    [
        # encoder bits, decoder bits, keep encoder, keep decoder: of the client
        (NONE, "", (15, 15, True, True)),
        (NONE, "server_max_window_bits=9", (15, 9, True, True)),
        (NONE, "server_max_window_bits=8; client_max_window_bits=8", (8, 9, True, True)),
        (NONE, "server_no_context_takeover", (15, 15, True, False)),
        (NONE, "client_no_context_takeover", (15, 15, False, True)),
        (DeflateOptions(), "server_max_window_bits=12", (12, 12, True, True)),
        (SHARED, "server_max_window_bits=12", (12, 12, True, True)),
        (DeflateOptions(), "server_max_window_bits=10; client_max_window_bits=9", (9, 10, True, True)),
        # What the client offered was a hint of what it will do; the server may allow it more.
        (DeflateOptions(), "server_max_window_bits=12; client_max_window_bits=13", (12, 12, True, True)),
        (DeflateOptions(), "server_max_window_bits=12; client_max_window_bits=15", (12, 12, True, True)),
        (
            DeflateOptions(client_no_context_takeover=True),
            "server_max_window_bits=12",
            (12, 12, False, True),
        ),
        (FRUGAL, "server_max_window_bits=12; server_no_context_takeover", (12, 12, False, False)),
    ],
)
def test_check_response_valid_answers(
    options: DeflateOptions, answer: str, agreed: tuple[int, int, bool, bool]
) -> None:
    extension = DeflateFactory(options).check_response(params(answer))
    assert repr(extension) == (
        "Deflate(encoder_bits={}, decoder_bits={}, keep_encoder={}, keep_decoder={})".format(*agreed)
    )


@pytest.mark.parametrize(
    ("options", "answer", "reason"),
    [
        (DeflateOptions(), "", "server_max_window_bits is 15, not 12"),
        (DeflateOptions(), "server_max_window_bits=13", "server_max_window_bits is 13, not 12"),
        (NONE, "client_max_window_bits", "client_max_window_bits has no value"),
        (FRUGAL, "server_max_window_bits=12", "server_no_context_takeover is missing"),
    ],
)
def test_check_response_answers_that_do_not_fit_the_offer_are_refused(
    options: DeflateOptions, answer: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        DeflateFactory(options).check_response(params(answer))

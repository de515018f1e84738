from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ws4py_middleware.core.headers import (
    ExtensionOffer,
    Param,
    build_extensions,
    build_head,
    check_header_name,
    check_header_value,
    get_all,
    has_token,
    is_token,
    parse_extensions,
    parse_subprotocols,
    parse_token_list,
    parse_upgrade,
    quote,
    split_list,
)

# RFC 9110 section 5.6.2: tchar.
TCHAR = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

latin_1 = st.text(st.characters(max_codepoint=255))
tokens = st.text(st.sampled_from(TCHAR), min_size=1, max_size=5)


def test_is_token_each_character_of_latin_1_as_the_rfc_lists_it() -> None:
    assert {chr(code) for code in range(256) if is_token(chr(code))} == set(TCHAR)


@pytest.mark.parametrize("text", ["", "a b", "a\n", "\u212aelvin", "a,b", 'a"b'])
def test_is_token_other_text_is_none(text: str) -> None:
    assert not is_token(text)


def test_quote_long_text_is_cut_and_stays_one_printable_line() -> None:
    shown = quote("\r\n\x00\x7f\xe9\u2028" + "x" * 1000)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) < 120
    assert shown.endswith("...")


def test_get_all_names_in_any_case_are_found_in_order() -> None:
    headers = [("Upgrade", "a"), ("X-Upgrade", "no"), ("UPGRADE", "\tb "), ("upgrade", "c")]
    assert get_all(headers, "uPGRADE") == ["a", "b", "c"]
    assert get_all(headers, "missing") == []


def test_get_all_white_space_beyond_the_rfc_stays() -> None:
    assert get_all([("A", "\x85x\xa0")], "a") == ["\x85x\xa0"]


@pytest.mark.parametrize("name", ["", "A:", "A B", "A\r\nB", "\xe4", "A\x00"])
def test_check_header_name_no_token_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a header"):
        check_header_name(name)


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\x00b", "\r\n", "x\r\nSet-Cookie: a=b", "a\n"])
def test_check_header_value_line_ends_and_nul_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="has a CR, LF or NUL"):
        check_header_value(value)


def test_check_header_value_text_that_http_cannot_carry_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond latin-1"):
        check_header_value("\u20ac 5")


@pytest.mark.parametrize("value", ["", 'a, b; c="d"', "\t \xe9\xff"])
def test_check_header_value_other_text_is_taken(value: str) -> None:
    check_header_value(value)
    check_header_name("X-Value")


def test_build_head_lines_end_with_crlf_and_the_head_with_an_empty_one() -> None:
    assert (
        build_head("HTTP/1.1 101 Switching Protocols", [("Upgrade", "websocket"), ("X", "\xe9")])
        == b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX: \xe9\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        ("GET /\r\nA: b HTTP/1.1", []),
        ("GET / HTTP/1.1", [("A\nB", "c")]),
        ("GET / HTTP/1.1", [("A", "b\nc")]),
    ],
)
def test_build_head_an_injection_anywhere_is_refused(line: str, headers: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="header"):
        build_head(line, headers)


@given(name=latin_1, value=latin_1)
def test_build_head_whatever_is_accepted_is_one_header(name: str, value: str) -> None:
    try:
        head = build_head("X", [(name, value)])
    except ValueError:
        return
    assert head.count(b"\r") == head.count(b"\n") == 3
    assert head == f"X\r\n{name}: {value}\r\n\r\n".encode("latin-1")


def test_split_list_repeated_headers_and_empty_elements_are_one_list() -> None:
    assert split_list(["keep-alive ,\tUpgrade", "", " , ,x,"]) == ["keep-alive", "Upgrade", "x"]


def test_parse_token_list_tokens_keep_their_case_and_order() -> None:
    assert parse_token_list(["Keep-Alive, Upgrade", "x"]) == ["Keep-Alive", "Upgrade", "x"]
    assert parse_token_list([]) == []


@pytest.mark.parametrize("value", ["a b", "upgrade;x", "Upgrade\xa0", '"upgrade"', "upgrade, \x00"])
def test_parse_token_list_an_element_that_is_no_token_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="is not a token"):
        parse_token_list([value])


def test_parse_upgrade_versions_are_taken() -> None:
    assert parse_upgrade(["HTTP/2.0, SHTTP/1.3, IRC/6.9", "websocket"]) == [
        "HTTP/2.0",
        "SHTTP/1.3",
        "IRC/6.9",
        "websocket",
    ]


@pytest.mark.parametrize("value", ["web socket", "a/", "/a", "a/b/c", "\xe9"])
def test_parse_upgrade_what_is_no_protocol_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a protocol"):
        parse_upgrade([value])


def test_has_token_tokens_are_compared_whole_in_any_case() -> None:
    assert has_token(["h2c", "WebSocket"], "websocket")
    assert not has_token(["notwebsocket", "websocket2", "websocket/13"], "websocket")
    assert not has_token([], "websocket")
    assert not has_token(["websoc\u212aet"], "websocket")  # U+212A, the sign for Kelvin


def test_parse_subprotocols_best_first_over_repeated_headers() -> None:
    assert parse_subprotocols(["chat, superchat", "v2.example"]) == ["chat", "superchat", "v2.example"]
    assert parse_subprotocols([]) == []


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["chat, chat"], "there twice"),
        (["chat", "x, chat"], "there twice"),
        ([""], "empty"),
        ([" , "], "empty"),
        (["a b"], "not a token"),
        (["a/b"], "not a token"),
    ],
)
def test_parse_subprotocols_doubled_empty_and_broken_lists_are_refused(
    values: list[str], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_subprotocols(values)


def test_parse_subprotocols_case_tells_them_apart() -> None:
    assert parse_subprotocols(["chat, Chat"]) == ["chat", "Chat"]


# RFC 6455 section 9.1 and RFC 7692 section 5.
@pytest.mark.parametrize(
    ("values", "offers"),
    [
        ([], []),
        (["foo"], [ExtensionOffer("foo")]),
        (
            ["bar; baz=2"],
            [ExtensionOffer("bar", (Param("baz", "2"),))],
        ),
        (
            ["deflate-stream, mux; max-channels=4; flow-control, deflate-stream"],
            [
                ExtensionOffer("deflate-stream"),
                ExtensionOffer("mux", (Param("max-channels", "4"), Param("flow-control"))),
                ExtensionOffer("deflate-stream"),
            ],
        ),
        (["foo", "bar; baz=2"], [ExtensionOffer("foo"), ExtensionOffer("bar", (Param("baz", "2"),))]),
        (['private; a="x\\yz"'], [ExtensionOffer("private", (Param("a", "xyz", True),))]),
        (
            [" foo \t;\tx = 1 ,, ,", "", "bar"],
            [ExtensionOffer("foo", (Param("x", "1"),)), ExtensionOffer("bar")],
        ),
        (["foo; a; a"], [ExtensionOffer("foo", (Param("a"), Param("a")))]),
    ],
)
def test_parse_extensions_valid_lists(values: list[str], offers: list[ExtensionOffer]) -> None:
    assert parse_extensions(values) == offers


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        ",",
        ";",
        "foo;",
        "foo;;a",
        ";a",
        "foo bar",
        "foo; a b",
        "foo; a=",
        "foo; =a",
        "foo; a==b",
        "foo; a=b=c",
        "foo=1",
        '"foo"',
        'foo; "a"',
        'foo; a="',
        'foo; a="x',
        'foo; a="x\\"',
        'foo; a=""',
        'foo; a="x y"',
        'foo; a="x,y"',
        "foo; a=\xe9",
        "foo\x00",
        "foo\n",
        "foo/bar",
    ],
)
def test_parse_extensions_what_is_not_in_the_grammar_is_refused(value: str) -> None:
    with pytest.raises(
        ValueError, match=r"empty|out of place|without a name|neither|is not a token"
    ) as caught:
        parse_extensions([value])
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("word", ["", "a b", "x\r\ny", "a;b"])
def test_build_extensions_a_word_that_is_no_token_is_refused(word: str) -> None:
    for offer in (
        ExtensionOffer(word),
        ExtensionOffer("foo", (Param(word),)),
        ExtensionOffer("foo", (Param("a", word),)),
    ):
        with pytest.raises(ValueError, match="is not a token"):
            build_extensions([offer])


@given(
    st.lists(
        st.builds(
            ExtensionOffer,
            tokens,
            st.lists(st.builds(Param, tokens, st.none() | tokens, st.just(False)), max_size=3).map(tuple),
        )
    )
)
def test_build_extensions_parse_extensions_reads_it_back(offers: list[ExtensionOffer]) -> None:
    header = build_extensions(offers)
    assert parse_extensions([header] if header else []) == offers


def refusals(values: list[str]) -> list[str]:
    """Give the values to all parsers; return what they refused them with."""
    messages = []
    for parse in (parse_token_list, parse_upgrade, parse_subprotocols, parse_extensions):
        try:
            parse(values)
        except ValueError as error:
            messages.append(str(error))
    return messages


@given(st.lists(latin_1))
def test_parsers_any_text_is_parsed_or_refused_with_a_printable_line(values: list[str]) -> None:
    for message in refusals(values):
        assert message.isascii()
        assert message.isprintable()


HOSTILE = [
    " " * 100_000 + "\x00",
    "," * 100_000,
    ";" * 100_000,
    "a; " * 50_000,
    "a;b=" * 30_000,
    '"' * 100_000,
    'a;b="' + "\\" * 100_000,
    'a;b="' + "x" * 100_000,
    'a;b="x"' * 30_000,
    "a" * 100_000 + "\x00",
    ("a" + " " * 50 + ",") * 4_000,
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_parsers_long_hostile_text_takes_linear_time(value: str) -> None:
    started = time.process_time()
    messages = refusals([value])
    # What is quadratic takes minutes.
    assert time.process_time() - started < 10
    assert all(len(message) < 300 for message in messages)

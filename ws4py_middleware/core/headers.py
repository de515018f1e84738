"""
Headers: the small grammars that the opening handshake is written in, :rfc:`6455#section-9.1` and :rfc:`9110`.

Pure functions over text. All of them take time in proportion to their input,
whatever it is. What does not fit the grammar is a :exc:`ValueError` that says
so in one line of printable ASCII; :mod:`.handshake` makes the HTTP answer of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = [
    "ExtensionOffer",
    "Param",
    "build_extensions",
    "build_head",
    "check_header_name",
    "check_header_value",
    "get_all",
    "has_token",
    "is_token",
    "parse_extensions",
    "parse_subprotocols",
    "parse_token_list",
    "parse_upgrade",
    "quote",
    "split_list",
]

#: Optional white space; ``str.strip()`` alone would also take U+00A0, U+0085 and others.
_OWS = " \t"

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PROTOCOL = re.compile(rf"{_TOKEN.pattern}(?:/{_TOKEN.pattern})?")
_LEXEME = re.compile(
    rf"""[ \t]* (?: (?P<token>{_TOKEN.pattern}) | "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<mark>[,;=]) | \Z )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FORBIDDEN = re.compile(r"[\r\n\0]")

#: The kind, ``token``, ``quoted`` or ``mark``, and the text.
_Lexeme = tuple[str, str]


class Param(NamedTuple):
    """One parameter of an extension; ``value`` is ``None`` when it has none."""

    name: str
    value: str | None = None
    #: Whether the value stood in quotation marks.
    quoted: bool = False


class ExtensionOffer(NamedTuple):
    """One element of ``Sec-WebSocket-Extensions``, in an offer or in its answer."""

    name: str
    params: tuple[Param, ...] = ()


def quote(text: str) -> str:
    r"""
    Show what a peer sent, for a message: printable ASCII, one line, not long.

    >>> quote("a\r\nb")
    "'a\\r\\nb'"
    """
    return ascii(text) if len(text) <= 60 else f"{text[:60]!a}..."


def is_token(text: str) -> bool:
    """Tell whether ``text`` is a token, :rfc:`9110#section-5.6.2`."""
    return _TOKEN.fullmatch(text) is not None


def get_all(headers: Iterable[tuple[str, str]], name: str) -> list[str]:
    """
    Return each value of a header, in order, without the white space around it.

    >>> get_all([("Host", "a"), ("X-Y", "1"), ("HOST", " b ")], "host")
    ['a', 'b']
    """
    wanted = name.lower()
    return [value.strip(_OWS) for key, value in headers if key.lower() == wanted]


def check_header_name(name: str) -> None:
    """
    Check the name of a header that is to be sent.

    Raises:
        ValueError: It is not a token.
    """
    if not is_token(name):
        raise ValueError(f"{quote(name)} is no name for a header; it is a token such as X-Request-Id")


def check_header_value(value: str) -> None:
    """
    Check the value of a header that is to be sent.

    Raises:
        ValueError: It has a CR, LF or NUL, with which one header becomes two,
            or a character beyond U+00FF, which HTTP cannot carry.
    """
    if _FORBIDDEN.search(value):
        raise ValueError(f"header value {quote(value)} has a CR, LF or NUL; no header may")
    if not value.isascii() and max(value) > "\xff":
        raise ValueError(f"header value {quote(value)} has characters beyond latin-1; encode them")


def build_head(start_line: str, headers: Iterable[tuple[str, str]]) -> bytes:
    r"""
    Build the head of a request or response, the empty line included.

    Raises:
        ValueError: The line, a name or a value may not be sent; see :func:`check_header_value`.

    >>> build_head("HTTP/1.1 200 OK", [("X-A", "1")])
    b'HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n'
    """
    check_header_value(start_line)
    lines = [start_line]
    for name, value in headers:
        check_header_name(name)
        check_header_value(value)
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def split_list(values: Iterable[str]) -> list[str]:
    """
    Return the elements of a comma separated list; repeated headers are one list.

    Empty elements are left out, as :rfc:`9110#section-5.6.1.2` asks. Quotation
    marks mean nothing here.

    >>> split_list(["keep-alive, Upgrade", ",x,"])
    ['keep-alive', 'Upgrade', 'x']
    """
    elements = (element.strip(_OWS) for value in values for element in value.split(","))
    return [element for element in elements if element]


def parse_token_list(values: Iterable[str]) -> list[str]:
    """
    Parse a list of tokens, such as the value of ``Connection``.

    Raises:
        ValueError: An element is not a token.
    """
    tokens = split_list(values)
    for token in tokens:
        if not is_token(token):
            raise ValueError(f"{quote(token)} is not a token")
    return tokens


def parse_upgrade(values: Iterable[str]) -> list[str]:
    """
    Parse the value of ``Upgrade``: protocols, each perhaps with a version.

    Raises:
        ValueError: An element is not a protocol, :rfc:`9110#section-7.8`.

    >>> parse_upgrade(["HTTP/2.0, websocket"])
    ['HTTP/2.0', 'websocket']
    """
    protocols = split_list(values)
    for protocol in protocols:
        if not _PROTOCOL.fullmatch(protocol):
            raise ValueError(f"{quote(protocol)} is not the name of a protocol")
    return protocols


def has_token(tokens: Iterable[str], token: str) -> bool:
    """
    Tell whether a list has a token; tokens are compared whole, case does not matter.

    Args:
        tokens: Tokens, as :func:`parse_token_list` gives them.
        token: In lower case.
    """
    # U+212A is no k, but its lower case is one.
    return any(each.isascii() and each.lower() == token for each in tokens)


def parse_subprotocols(values: Sequence[str]) -> list[str]:
    """
    Parse the subprotocols that a client offers, best first.

    Raises:
        ValueError: The header is there and empty, an element is not a token, or
            one is there twice: :rfc:`6455#section-4.1`, item 10.
    """
    tokens = parse_token_list(values)
    if values and not tokens:
        raise ValueError("the list is empty")
    seen = set()
    for token in tokens:
        if token in seen:
            raise ValueError(f"{quote(token)} is there twice")
        seen.add(token)
    return tokens


def parse_extensions(values: Sequence[str]) -> list[ExtensionOffer]:
    """
    Parse ``Sec-WebSocket-Extensions``, :rfc:`6455#section-9.1`.

    Raises:
        ValueError: It does not fit the grammar.

    >>> parse_extensions(['foo; a; b="1"', "bar"])
    [ExtensionOffer(name='foo', params=(Param(name='a', value=None, quoted=False),
    Param(name='b', value='1', quoted=True))), ExtensionOffer(name='bar', params=())]
    """
    offers = []
    for value in values:
        for element in _split_at(_scan(value), ","):
            if element:
                name, *params = _split_at(element, ";")
                if len(name) != 1 or name[0][0] != "token":
                    raise ValueError("there is an extension without a name")
                offers.append(ExtensionOffer(name[0][1], tuple(map(_parse_param, params))))
    if values and not offers:
        raise ValueError("the list is empty")
    return offers


def _scan(text: str) -> list[_Lexeme]:
    """Cut a value into tokens, quoted strings and marks."""
    lexemes: list[_Lexeme] = []
    position = 0
    while position < len(text):
        match = _LEXEME.match(text, position)
        if match is None:
            raise ValueError(f"{quote(text[position : position + 20])} is out of place")
        position = match.end()
        kind = match.lastgroup
        if kind == "quoted":
            lexemes.append((kind, _ESCAPED.sub(r"\1", match[kind])))
        elif kind is not None:
            lexemes.append((kind, match[kind]))
    return lexemes


def _split_at(lexemes: Iterable[_Lexeme], mark: str) -> list[list[_Lexeme]]:
    parts: list[list[_Lexeme]] = [[]]
    for lexeme in lexemes:
        if lexeme == ("mark", mark):
            parts.append([])
        else:
            parts[-1].append(lexeme)
    return parts


def _parse_param(lexemes: list[_Lexeme]) -> Param:
    match lexemes:
        case [("token", name)]:
            return Param(name)
        case [("token", name), ("mark", "="), ("token" | "quoted" as kind, value)]:
            # Whatever is in the quotation marks must be a token, too.
            if not is_token(value):
                raise ValueError(f"the value of the parameter {name} is not a token: {quote(value)}")
            return Param(name, value, kind == "quoted")
        case _:
            raise ValueError("there is a parameter that is neither a name nor name=value")


def build_extensions(offers: Iterable[ExtensionOffer]) -> str:
    """
    Build the value of ``Sec-WebSocket-Extensions``.

    Raises:
        ValueError: A name or a value is not a token.

    >>> build_extensions([ExtensionOffer("foo", (Param("a"), Param("b", "1")))])
    'foo; a; b=1'
    """
    elements = []
    for offer in offers:
        words = [offer.name]
        for name, value, _ in offer.params:
            words += [name] if value is None else [name, value]
        for word in words:
            if not is_token(word):
                raise ValueError(f"{quote(word)} in an extension is not a token")
        params = (name if value is None else f"{name}={value}" for name, value, _ in offer.params)
        elements.append("; ".join((offer.name, *params)))
    return ", ".join(elements)

"""Text hidden in other text by an encoding anybody can undo: base64, hexadecimal, percent, entities, escapes, reversal.

One layer only. What the decoded text means is judged elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from autodata_core.lazily import lazy
from autodata_core.safety.hidden import tag_text

__all__ = ["decoded"]

_MOST = 2_000
"""Most texts that are returned. Our number."""
_LONGEST = 500_000
"""Most characters that are returned in all. Our number."""
_SHORTEST = 4
"""Shortest decoded text: an answer such as `12.5` can be hidden too."""

_BASE64 = lazy(r"[A-Za-z0-9+/_-]{6,}(?:\r?\n[A-Za-z0-9+/_-]{16,})*={0,2}")
_HEX = lazy(r"[0-9a-fA-F]{2}(?:[ :,]?(?:0x)?[0-9a-fA-F]{2}){3,}(?![0-9a-fA-F])")
_BINARY = lazy(r"[01]{8}(?: ?[01]{8}){3,}")
_BETWEEN = r"[^%&\\<>\n]{0,24}"
_PERCENT = lazy(rf"(?:%[0-9a-fA-F]{{2}}{_BETWEEN}){{3,}}")
_ENTITY = lazy(rf"(?:&(?:#[0-9]{{1,7}}|#[xX][0-9a-fA-F]{{1,6}}|[A-Za-z]{{2,8}});{_BETWEEN}){{3,}}")
_ESCAPE = lazy(
    rf"(?:\\(?:u[0-9a-fA-F]{{4}}|x[0-9a-fA-F]{{2}}|u\{{[0-9a-fA-F]{{1,6}}\}}|U[0-9a-fA-F]{{8}}|[0-3][0-7]{{2}}){_BETWEEN}){{3,}}"
)
_ONE_ESCAPE = lazy(
    r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]{1,6})\}|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))"
)

_COMMON = (" the ", " you ", " that ", "instruction", "ignore", "answer", "previous", "system")
_REVERSED = tuple(word[::-1] for word in _COMMON)
_ROTATED = tuple(codecs.encode(word, "rot13") for word in _COMMON)
_BACKWARDS_CUES = ("backward", "reverse", "rückwärts", "à l'envers", "al revés", "逆")


def decoded(text: str) -> tuple[str, ...]:
    """Return the readable texts that are hidden in `text`, in the order of the encodings above, each once.

    A leak check can search them as it searches the text itself. Text that is merely encoded twice is decoded once.
    At most 2 000 texts with 500 000 characters together are returned; what lies behind is not seen.

    Args:
        text: Any text.

    Returns:
        Decoded texts of at least four characters, all of them printable. Reversed and rotated (ROT13) lines count when
        they show common English words that way, or, for reversal, when the text speaks of it.
    """
    found: dict[str, None] = {}
    size = 0
    for find in _FINDERS:
        for plain in find(text):
            if plain in found or not _readable(plain):
                continue
            found[plain[: _LONGEST - size]] = None
            size += len(plain)
            if len(found) == _MOST or size >= _LONGEST:
                return tuple(found)
    return tuple(found)


def _readable(text: str) -> bool:
    return len(text.strip()) >= _SHORTEST and text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable()


def _tokens(pattern: re.Pattern[str], text: str) -> dict[str, None]:
    """Return what `pattern` matches in order, each once: a repeated token costs nothing."""
    return dict.fromkeys(match[0] for match in pattern.finditer(text))


def _utf8(octets: bytes) -> str:
    if octets[1::2].count(0) * 4 > len(octets) and len(octets) % 2 == 0:  # UTF-16 of mostly Latin text
        return octets.decode("utf-16-le", "ignore")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return ""


def _base64(text: str) -> Iterator[str]:
    for whole in _tokens(_BASE64, text):
        yield _from_base64("".join(whole.split()))
        if "\n" in whole:  # lines that only happen to stand below one another
            for line in whole.split():
                yield _from_base64(line)


def _from_base64(token: str) -> str:
    bare = token.rstrip("=")
    plain_word = bare.isalpha() and (bare.islower() or bare[1:].islower())
    if plain_word or len(bare) % 4 == 1 or (len(bare) < 16 and bare == token and bare.isdigit()):
        return ""
    bare = bare.replace("-", "+").replace("_", "/")
    try:
        octets = base64.b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        return ""
    return _utf8(octets)


def _hex(text: str) -> Iterator[str]:
    for token in _tokens(_HEX, text):
        digits = token.replace("0x", "").replace(":", "").replace(",", "").replace(" ", "")
        if len(digits) % 2 == 0:
            yield _utf8(bytes.fromhex(digits))


def _binary(text: str) -> Iterator[str]:
    for token in _tokens(_BINARY, text):
        bits = token.replace(" ", "")
        yield _utf8(bytes(int(bits[n : n + 8], 2) for n in range(0, len(bits), 8)))


def _spelt(mark: str, pattern: re.Pattern[str], undo: Callable[[str], str]) -> Callable[[str], Iterator[str]]:
    """Return a finder of runs of escapes that begin with `mark`; the word that a run begins in is part of it."""

    def find(text: str) -> Iterator[str]:
        if text.count(mark) < 3:
            return
        for match in pattern.finditer(text):
            before = text[max(0, match.start() - 24) : match.start()].rsplit("\n", maxsplit=1)[-1]
            yield undo(before + match[0])

    return find


def _unescape(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        octal = match[5]
        code = int(octal, 8) if octal else int(match[1] or match[2] or match[3] or match[4], 16)
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else ""

    return _ONE_ESCAPE.sub(plain, text)


def _tags(text: str) -> Iterator[str]:
    return iter(tag_text(text).split("\n"))


def _shows(words: tuple[str, ...], lowered: str) -> bool:
    """Return whether at least two of the common words stand in the text."""
    return sum(lowered.count(word) for word in words) >= 2


def _reversed(text: str) -> Iterator[str]:
    lowered = text.lower()
    cued = any(cue in lowered for cue in _BACKWARDS_CUES)
    if cued or _shows(_REVERSED, lowered):
        yield from (line.strip()[::-1] for line in text.split("\n") if cued or _shows(_REVERSED, f" {line.lower()} "))


def _rotated(text: str) -> Iterator[str]:
    if _shows(_ROTATED, text.lower()):
        yield from (codecs.encode(x.strip(), "rot13") for x in text.split("\n") if _shows(_ROTATED, f" {x.lower()} "))


_FINDERS = (
    _base64,
    _hex,
    _binary,
    _spelt("%", _PERCENT, unquote),
    _spelt("&", _ENTITY, html.unescape),
    _spelt("\\", _ESCAPE, _unescape),
    _tags,
    _reversed,
    _rotated,
)

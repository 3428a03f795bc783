"""Characters that a reader does not see and a model does: which they are, and text without them.

What is ordinary stays: soft hyphens, a byte order mark at the start, joiners inside emoji and in scripts that need them,
one variation selector behind a symbol or ideograph, direction marks beside right-to-left letters.
"""

from __future__ import annotations

from autodata_core.lazily import lazy

__all__ = ["tag_text", "without_hidden"]

# Cc without tab, line feed, form feed and carriage return; Cf; Cs; Co; and letters and marks that draw nothing.
_HIDDEN = (
    "\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f"  # controls; U+0085 is a line end
    "\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # joiners and fillers; Mongolian selectors
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff"
    "\ue000-\uf01f\uf100-\uf8ff"  # private use; U+F020–F0FF is what PDF files use for bullets and Greek letters
    "\ufdd0-\ufdef\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
_ANY = lazy(f"[{_HIDDEN}]")
_ANY_ASCII = lazy("[\x00-\x08\x0b\x0e-\x1f\x7f]")

_SYMBOL = "\u00a9\u00ae\u203c\u2049\u2100-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
_SKIN = "\U0001f3fb-\U0001f3ff"
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_JOINED = "\u0600-\u060b\u060d-\u061a\u061d-\u07ff\u0840-\u085f\u0860-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17b3\u17b6-\u18af"
_VIRAMA = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
_RTL = "\u0590-\u060b\u060d-\u061a\u061d-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc"
_FLAGS = "gbeng|gbsct|gbwls"

_EMOJI = f"[{_SYMBOL}](?:[\ufe0e\ufe0f]|[{_SKIN}])?"
_MARKS = "\u061c\u200e\u200f"
_ORDINARY = "|".join(
    (
        "\U0001f3f4(?:"
        + "|".join("".join(chr(0xE0000 + ord(c)) for c in f) for f in _FLAGS.split("|"))
        + ")\U000e007f",
        f"{_EMOJI}(?:\u200d{_EMOJI}){{1,8}}",
        f"[{_SYMBOL}][\ufe0e\ufe0f]",
        "[0-9#*]\ufe0f\u20e3",
        "[\u2190-\u2bff]\ufe00",
        f"[{_HAN}][\ufe00-\ufe02\U000e0100-\U000e01ef]",
        "[\u1820-\u18aa][\u180b-\u180d\u180f]",
        f"[{_JOINED}][\u200c\u200d](?=[{_JOINED}])",
        f"[{_VIRAMA}][\u200c\u200d]",
        f"[{_RTL}][ !-/:-@]?[{_MARKS}](?![{_MARKS}])",
    )
)
# The look ahead only saves time: most characters have nothing hidden behind them.
_ORDINARY_USE = (
    f"(?=[^{_HIDDEN}]{{1,2}}[{_HIDDEN}])(?:{_ORDINARY})"
    f"|[{_MARKS}](?<![{_MARKS}][{_MARKS}])(?=[ !-/:-@0-9]?[{_RTL}])"
    r"|\A" + "\ufeff"
)
_ALL_ORDINARY = lazy(_ORDINARY_USE)
_ORDINARY_OR_HIDDEN = lazy(f"({_ORDINARY_USE})|[{_HIDDEN}]")
_TAGS = lazy("[\U000e0020-\U000e007e]+")


def without_hidden(text: str) -> str:
    """Return `text` without its hidden characters; what is ordinary stays, so emoji and Persian words stay whole."""
    if text.isascii():
        return _ANY_ASCII.sub("", text)
    if not _ANY.search(_ALL_ORDINARY.sub("", text)):
        return text
    while _ANY.search(text):  # what was between two marks is gone, so they may stand together now
        shown = _ORDINARY_OR_HIDDEN.sub(lambda m: m[1] or "", text)
        if len(shown) == len(text):
            break
        text = shown
    return text


def tag_text(text: str) -> str:
    """Return what is written in tag characters (U+E0020–E007E), which mirror ASCII and draw nothing."""
    if text.isascii():
        return ""
    return "\n".join("".join(chr(ord(c) - 0xE0000) for c in m[0]) for m in _TAGS.finditer(text))

"""From what people write to the plain text of an expression: out of box and dollars, LaTeX and superscripts spelled out."""

from __future__ import annotations

import re

from autodata_adapters.verifiers.mathematics.expressions import ExpressionError

__all__ = ["spelled", "stated"]

_ANSWER_MAX = 1_000
"""Characters of an answer."""
_WRAPPINGS_MAX = 3
"""Dollars, backticks and stars around one another."""

_WRAPPED = re.compile(r"\$\$(.+)\$\$|\$(.+)\$|\\\((.+)\\\)|\\\[(.+)\\\]|`(.+)`|\*\*(.+)\*\*", re.DOTALL)
_BOXED = re.compile(r"\\boxed\s?\{")
_LEAD = re.compile(
    r"(?:(?:so|thus|hence|therefore),?\s)?(?:the\s)?(?:final\s)?answer(?:\sis)?\s?:?\s(?=\S)", re.IGNORECASE
)
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")

_SPELLED = str.maketrans(
    {"−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "π": "pi", "√": "\\sqrt", "θ": "theta"}
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPT = re.compile("⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_LATEX = (
    (re.compile(r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|quad|qquad)(?![A-Za-z])|\\[,;!: ]|~"), " "),
    (re.compile(r"\\log_\{?\s?10\s?\}?(?!\d)"), " log10 "),
    (re.compile(r"\\log_\{?\s?2\s?\}?(?!\d)"), " log2 "),
    (re.compile(r"\\(?:mathrm|operatorname|text|mathit)\s?\{\s?([A-Za-z0-9]{1,20})\s?\}"), r" \1 "),
    (re.compile(r"\\(?:cdot|times|ast)(?![A-Za-z])"), "*"),
    (re.compile(r"\\div(?![A-Za-z])"), "/"),
    (re.compile(r"\\[dt]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"(?<=\d)\{,\}(?=\d{3})"), ","),
)


def stated(answer: str, *, scalar: bool) -> str:
    """Return the expression of an answer, out of its box or dollars, without `the answer is`.

    Args:
        answer: Of whoever was asked.
        scalar: One value is wanted, so that `1,000` is a number and not two.

    Raises:
        ExpressionError: It is too long, or its boxes are several or never end.
    """
    if len(answer) > _ANSWER_MAX:
        raise ExpressionError("longer than an expression")
    text = answer.strip()
    boxes = list(_BOXED.finditer(text))
    if len(boxes) > 1:
        raise ExpressionError("several boxed answers, not one")
    text = _braced(text, boxes[0].end()) if boxes else _unwrapped(text)
    return text.replace(",", "") if scalar and _THOUSANDS.fullmatch(text.strip()) else text


def _unwrapped(text: str) -> str:
    lead = _LEAD.match(text)
    text = text[lead.end() :] if lead else text
    for _ in range(_WRAPPINGS_MAX):
        text = text.strip().removesuffix(".").rstrip()
        wrapped = _WRAPPED.fullmatch(text)
        if wrapped is None:
            break
        text = next(part for part in wrapped.groups() if part is not None)
    return text


def _braced(text: str, start: int) -> str:
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    raise ExpressionError("a box that never ends")


def spelled(text: str) -> str:
    """Return `text` in the ASCII that the grammar knows, on one line.

    Raises:
        ExpressionError: It holds a character that has no such spelling.
    """
    text = _SUPERSCRIPT.sub(lambda found: f"^({found.group().translate(_SUPERSCRIPTS)})", text.translate(_SPELLED))
    for pattern, plain in _LATEX:
        text = pattern.sub(plain, text)
    text = text.strip()
    strange = next((c for c in text if not (" " <= c <= "~" or c in "\n\t")), "")
    if strange:
        raise ExpressionError(f"the character {strange!a} is not read")
    return " ".join(text.split())

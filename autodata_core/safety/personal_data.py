"""Personal data and secrets in a text, found by their form, and text in which they are masked.

It does not find names, postal addresses, dates of birth, faces, voices or anything else that has no form of its own: that
needs a model that knows names. Numbers are found where a check digit, a fixed form or a word beside them says what they are;
a telephone number without plus sign, label or the punctuation of its country looks like any number and is not found.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal, NamedTuple, get_args

from autodata_core.lazily import lazy
from autodata_core.safety import checksums
from autodata_core.safety.secrets_in_text import find_secrets

__all__ = ["KINDS", "PersonalData", "PersonalDataKind", "find_personal_data", "mask"]

PersonalDataKind = Literal["secret", "email", "iban", "card", "national_id", "us_ssn", "ip", "phone"]
"""What is found. `national_id`: German, Dutch, British, Brazilian, Indian, French, Spanish, Italian, Polish, Chinese."""

KINDS: tuple[PersonalDataKind, ...] = get_args(PersonalDataKind)
"""Every kind; where two claim the same characters the earlier one has them."""

_PLACE = itemgetter(1, 2)
_ROUNDS = 8
"""How often masked text is looked at again: a mask can end the word that hid the next find."""


class PersonalData(NamedTuple):
    """One find."""

    kind: PersonalDataKind
    start: int
    end: int
    """`text[start:end]` is the find."""


def find_personal_data(text: str) -> tuple[PersonalData, ...]:
    """Return what is found in `text`, in order, without overlaps.

    Masking all of it leaves nothing that this function finds. It does not find names or postal addresses.
    """
    found = _seen(text)
    for _ in range(_ROUNDS if found else 0):
        masked, marks = _masked(text, found)
        more = [_placed(x, marks) for x in _seen(masked)]
        if not more:
            break
        found = _disjoint([*found, *more])
    return tuple(found)


def mask(text: str, found: Sequence[PersonalData]) -> str:
    """Return `text` with each find replaced by its kind: `[email]`, `[phone]`, …"""
    return _masked(text, sorted(found, key=_PLACE))[0]


def _masked(text: str, found: Sequence[PersonalData]) -> tuple[str, list[tuple[int, int, int, int]]]:
    """Return masked text, and for each mask its place there and in the text: start, end, start, end."""
    parts, marks, at, size = [], [], 0, 0
    for x in found:
        name = f"[{x.kind}]"
        size += x.start - at
        parts += [text[at : x.start], name]
        marks.append((size, size + len(name), x.start, x.end))
        at, size = x.end, size + len(name)
    return "".join([*parts, text[at:]]), marks


def _placed(found: PersonalData, marks: list[tuple[int, int, int, int]]) -> PersonalData:
    """Return a find of the masked text at its place in the text; a mask that it touches is taken in whole."""
    starts = [mark[0] for mark in marks]

    def place(at: int, *, end: bool) -> int:
        before = bisect_right(starts, at - 1 if end else at) - 1
        if before < 0:
            return at
        _, mask_end, start, stop = marks[before]
        if at < mask_end or (end and at == mask_end):
            return stop if end else start
        return stop + at - mask_end

    return PersonalData(found.kind, place(found.start, end=False), place(found.end, end=True))


def _seen(text: str) -> list[PersonalData]:
    return _disjoint([PersonalData(kind, start, end) for kind, find in _FINDERS.items() for start, end in find(text)])


def _disjoint(found: list[PersonalData]) -> list[PersonalData]:
    """Return the finds in order; overlapping ones become one, of the kind that comes first in `KINDS`."""
    kept: list[PersonalData] = []
    for x in sorted(found, key=_PLACE):
        if kept and x.start < kept[-1].end:
            last = kept.pop()
            kind = min(last.kind, x.kind, key=KINDS.index)
            kept.append(PersonalData(kind, last.start, max(last.end, x.end)))
        else:
            kept.append(x)
    return kept


_LOCAL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+/=?^_`{|}~-äöüßéèáàñçÄÖÜ"
_AT = lazy(r"@(?<=[\w+!#$%&'*/=?^`{|}~-]@)(?=[^\W_])|[\[({]\s?(?:at|AT|ät)\s?[\])}]")
_DOMAIN = lazy(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?(?:\.|\s?[\[({]\s?(?:dot|DOT|punkt)\s?[\])}]\s?)){1,6}([^\W\d_]{2,18})(?!\w)"
)
_NOT_TOP = {
    "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts", "json", "html", "py", "rb", "txt", "pdf", "zip", "tgz",
    "gz", "yaml", "yml", "toml", "xml", "dll", "exe", "conf", "log", "service", "scss", "ico", "lock",
}  # fmt: skip


_IN_URL = lazy(r"://[^\s@]*\Z")


def _emails(text: str) -> Iterator[tuple[int, int]]:
    for at in _AT.finditer(text):
        spelt = at[0] != "@"
        domain = _DOMAIN.match(text, at.end() + (spelt and text[at.end() : at.end() + 1] == " "))
        if domain is None or domain[1].lower() in _NOT_TOP:
            continue
        start = at.start() - (spelt and text[at.start() - 1 : at.start()] == " ")
        before = text[max(0, start - 65) : start]
        local = before[len(before.rstrip(_LOCAL)) :].lstrip("!#$%&'*/=?^`{|}~.-")
        if text[start - len(local) - 1 : start - len(local)] in (":", "/") and _IN_URL.search(before):
            continue  # a password and its host
        if 0 < len(local) <= 64 and local[-1] != "." and local != "git" and not (spelt and local.isdigit()):
            yield start - len(local), domain.end()


_IBAN = lazy(r"[A-Z]{2}(?<![A-Za-z0-9][A-Z]{2})[0-9]{2}(?:[ \u00a0-]?[A-Z0-9]){11,34}")


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        size = checksums.iban("".join(c for c in match[0] if c.isalnum()))
        if size:
            places = [n for n, c in enumerate(match[0]) if c.isalnum()]
            end = match.start() + places[size - 1] + 1
            if not text[end : end + 1].isalnum():
                yield match.start(), end


_CARD = lazy(
    r"[2-6](?<![\w.,/$€£+^-][2-6])(?:[0-9]{12,18}|[0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}"
    r"|[0-9]{3}([ -])[0-9]{6}\2[0-9]{4,5})(?![\w%^]|[.,/-][0-9])"
)
_CARD_LABEL = lazy(r"card|visa|mastercard|amex|karte|carte|tarjeta|carta|cartão|карт|卡|カード", re.IGNORECASE)
_SUM = lazy(r"[=*×·+^≈~<>≤≥]\s?\Z")


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        if not checksums.card("".join(c for c in match[0] if c.isdigit())):
            continue
        before = text[max(0, match.start() - 40) : match.start()]
        if _SUM.search(before) and not _CARD_LABEL.search(before):
            continue  # a result
        yield match.span()


_SSN = lazy(r"[0-8](?<![\w.,/$€£+-][0-8])[0-9]{2}(?:-[0-9]{2}-|[ ]?[0-9]{2}[ ]?)[0-9]{4}(?![\w%]|[.,/-][0-9])")
_SSN_LABEL = lazy(r"\bssn\b|social security", re.IGNORECASE)


def _ssns(text: str) -> Iterator[tuple[int, int]]:
    labelled = _SSN_LABEL.search(text) is not None
    if not labelled and "-" not in text:
        return
    for match in _SSN.finditer(text):
        digits = "".join(c for c in match[0] if c.isdigit())
        if "-" not in match[0] and not (
            labelled and _SSN_LABEL.search(text, max(0, match.start() - 40), match.start())
        ):
            continue
        if checksums.ssn(digits):
            yield match.span()


def _lowered(text: str) -> str:
    """Return `text` in lower case, every character at its place (only İ would become two)."""
    return text.replace("İ", "I").lower()


def _behind(lowered: str, labels: Sequence[str]) -> Iterator[int]:
    """Yield the ends of the labels that stand in lowered text as words or at least begin one."""
    for label in labels:
        at = lowered.find(label)
        while at >= 0:
            if not lowered[at - 1 : at].isalnum() or not at:
                yield at + len(label)
            at = lowered.find(label, at + len(label))


def _windows(ends: Iterator[int], size: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of `size` characters behind labels, joined where they overlap."""
    start = stop = -1
    for end in sorted(ends):
        if end > stop:
            if stop >= 0:
                yield start, stop
            start = end
        stop = end + size
    if stop >= 0:
        yield start, stop


@dataclass(frozen=True)
class _NationalId:
    labels: tuple[str, ...]
    """In lower case. The number counts only within 60 characters behind one; none when the form is like no other."""
    form: re.Pattern[str]
    check: Callable[[str], bool]


def _national(labels: str, form: str, check: Callable[[str], bool]) -> _NationalId:
    first = "[1-9]" if form.startswith("[1-9]") else form[: form.index("]") + 1]
    rest = form[len(first) :]
    # The first character leads, so that the search skips to it; what must not stand before it comes next.
    pattern = re.compile(rf"{first}(?<![\w.,/+-]{first})(?:{rest})(?![\w%]|[.,/-][0-9])")
    return _NationalId(tuple(labels.split("|")) if labels else (), pattern, check)


_IDS = (
    _national(
        "steuer-id|steuerid|steuer id|steueridentifikation|steuer-identifikation|idnr|tax id|tin",
        r"[1-9][0-9][ ]?[0-9]{3}[ ]?[0-9]{3}[ ]?[0-9]{3}",
        checksums.steuer_id,
    ),
    _national(
        "bsn|burgerservicenummer|sofinummer|sofi-nummer",
        r"[0-9](?:[0-9]{8}|[0-9]{3}[. ][0-9]{2}[. ][0-9]{3})",
        checksums.bsn,
    ),
    _national("nhs", r"[0-9][0-9]{2}[ -]?[0-9]{3}[ -]?[0-9]{4}", checksums.nhs),
    _national("aadhaar|aadhar|adhaar|uidai|आधार", r"[2-9][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}", checksums.aadhaar),
    _national("cpf", r"[0-9][0-9]{10}", checksums.cpf),
    _national("pesel", r"[0-9][0-9]{10}", checksums.pesel),
    _national("dni|nif", r"[0-9][0-9]{7}[- ]?[A-HJ-NP-TV-Z]", checksums.dni),
    _national(
        "sécurité sociale|securite sociale|nir|insee",
        r"[12][ ]?[0-9]{2}[ ]?[0-9]{2}[ ]?[0-9]{2}[ ]?[0-9]{3}[ ]?[0-9]{3}[ ]?[0-9]{2}",
        checksums.nir,
    ),
    _national("", r"[0-9][0-9]{2}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", checksums.cpf),
    _national("", r"[1-8][0-9]{16}[0-9X]", checksums.chinese_id),
    _national("", r"[A-Z][A-Z]{5}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]", checksums.italian_code),
)


def _national_ids(text: str) -> Iterator[tuple[int, int]]:
    lowered = _lowered(text)
    for kind in _IDS:
        windows = _windows(_behind(lowered, kind.labels), 60) if kind.labels else iter([(0, len(text))])
        for start, stop in windows:
            for match in kind.form.finditer(text, start, min(stop, len(text))):
                if kind.check("".join(c for c in match[0] if c.isalnum())):
                    yield match.span()


_V4 = lazy(r"[0-9](?<![\w.][0-9])[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![\w-]|\.[0-9])")
_V6 = lazy(r"(?:[0-9a-fA-F]{0,4}:){2,7}(?:[0-9a-fA-F]{1,4}|[0-9]{1,3}(?:\.[0-9]{1,3}){3})?")
_VERSION = lazy(
    r"(?:version|release|build|firmware|driver|ver\.?|rev\.?|v|see|step|point|para\.?|section|§§?|clause|chapter|oid|abschnitt|kapitel|nr\.?|no\.?|"
    r"item|figure|table|ec|[=<>~^]=|@)[\s:#]{0,3}\Z",
    re.IGNORECASE,
)


def _ips(text: str) -> Iterator[tuple[int, int]]:
    for match in _V4.finditer(text) if text.count(".") >= 3 else ():
        octets = match[0].split(".")
        if any(int(o) > 255 or (o[0] == "0" and o != "0") for o in octets) or octets[0] in ("0", "127", "255"):
            continue
        net = octets[3] == "0" and text[match.end() : match.end() + 1] == "/"
        if not net and not _VERSION.search(text[max(0, match.start() - 16) : match.start()]):
            yield match.span()
    if text.count(":") < 2:
        return
    for match in _V6.finditer(text):
        found, start = match[0], match.start()
        around = text[max(0, start - 1) : start] + text[match.end() : match.end() + 1]
        if len(found) < 6 or any(c.isalnum() or c in ":_" for c in around):
            continue
        if "::" in found and not re.match(r"(?i)[23][0-9a-f]{3}:|f[cd][0-9a-f]{2}:|fe80:", found):
            continue
        try:
            ipaddress.IPv6Address(found)
        except ValueError:
            continue
        yield match.span()


_PHONE_LABELS = (
    "tel", "phone", "mobil", "handy", "móvil", "movil", "celular", "cellulare", "portable", "cell", "fax", "whatsapp",
    "call", "hotline", "rufnummer", "tél", "тел", "моб", "电话", "電話", "手机", "携帯",
)  # fmt: skip
# The rest of the word, blanks and signs, and at most two short words: `Telephone no.: `, `call me at `.
_BEHIND_LABEL = lazy(r"[a-z]{0,14}[^\d\n+(A-Za-z]{0,6}(?:[A-Za-z]{1,9}[^\d\n+(A-Za-z]{1,4}){0,2}", re.IGNORECASE)
_SEP = r"[ \u00a0./\-–]"
_PHONE = lazy(
    r"[+(0-9](?<![\w.,/+$€£=)-][+(0-9])(?<![0-9]:[+(0-9])(?<![0-9] [(0-9])(?:"
    rf"(?<=\+)[1-9][0-9]{{0,2}}(?:{_SEP}{{0,2}}\(?[0-9]{{1,5}}\)?){{2,7}}"  # +49 (0)30 1234567
    rf"|(?<=0)0[1-9][0-9]{{0,2}}(?:{_SEP}\(?[0-9]{{1,9}}\)?){{2,6}}"  # 0049 30 1234567
    r"|(?<=\()[2-9][0-9]{2}\) ?[2-9][0-9]{2}[-. ][0-9]{4}"  # (212) 555-0123
    r"|(?<=[2-9])[0-9]{2}([-.])[2-9][0-9]{2}\1[0-9]{4}"  # 212-555-0123
    r"|(?<=1)-[2-9][0-9]{2}-[2-9][0-9]{2}-[0-9]{4}"
    r"|(?<=\()0[1-9][0-9]{1,4}\) ?[0-9]{3,4}[ -]?[0-9]{3,5}"  # (030) 1234567
    r"|(?<=0)[1-9](?:[ .][0-9]{2}){4}"  # 01 23 45 67 89
    r"|(?<=0)[1-9][0-9]{1,3}/ ?[0-9]{4,9}(?:[ -][0-9]{1,5})?"  # 030/1234567
    r"|(?<=0)[1-9][0-9]{0,3}[ -][0-9]{3,4}[ -][0-9]{3,4}"  # 020 7946 0958, 03-1234-5678
    r"|(?<=0)7[0-9]{3} [0-9]{6}|(?<=0)1[567][0-9] [0-9]{7,8}"  # mobiles, UK and Germany
    r"|(?<=\()[1-9]{2}\) ?9[0-9]{4}-[0-9]{4}"  # (11) 91234-5678
    r"|(?<=8) ?\(?[3489][0-9]{2}\)? ?[0-9]{3}-[0-9]{2}-[0-9]{2}"  # 8 (495) 123-45-67
    r"|(?<=1)[3-9][0-9][ -][0-9]{4}[ -][0-9]{4}"  # 138 1234 5678
    r")(?![\w%]|[.,/-][0-9])"
)
_LABELLED = lazy(rf"[+(0-9](?:{_SEP}?[()]?{_SEP}?[0-9]){{5,15}}(?![\w%]|[.,/-][0-9])")
_DATE = lazy(r"(?:19|20)[0-9]{2}[-./ ][0-9]{1,2}[-./ ][0-9]{1,2}|[0-9]{1,2}[-./ ][0-9]{1,2}[-./ ](?:19|20)[0-9]{2}")
_DECIMAL = lazy(r"[0-9]+\.[0-9]+")
_NO_NUMBER_OF_THEIRS = lazy(r"\bmodel|modell|modèle|serial|version|isbn|order|[#$€£=]", re.IGNORECASE)


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for match in _PHONE.finditer(text):
        if 7 <= sum(c.isdigit() for c in match[0]) <= 15 and not _DATE.fullmatch(match[0]):
            yield match.span()
    for start, _ in _windows(_behind(_lowered(text), _PHONE_LABELS), 0):
        between = _BEHIND_LABEL.match(text, start)
        number = between and _LABELLED.match(text, between.end())
        if not between or not number or _NO_NUMBER_OF_THEIRS.search(between[0]):
            continue
        if (
            sum(c.isdigit() for c in number[0]) >= 6
            and not _DATE.match(number[0])
            and not _DECIMAL.fullmatch(number[0])
        ):
            yield number.span()


_FINDERS: dict[PersonalDataKind, Callable[[str], Iterator[tuple[int, int]]]] = {
    "secret": find_secrets,
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "national_id": _national_ids,
    "us_ssn": _ssns,
    "ip": _ips,
    "phone": _phones,
}

"""Check digits: whether a row of digits is a number that somebody issued, rather than any number of that length.

Formulas only; where such numbers stand in a text is found in `personal_data`.
"""

from __future__ import annotations

__all__ = [
    "aadhaar",
    "bsn",
    "card",
    "chinese_id",
    "cpf",
    "dni",
    "iban",
    "italian_code",
    "nhs",
    "nir",
    "pesel",
    "ssn",
    "steuer_id",
]

_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip


def luhn(digits: str) -> bool:
    """Return whether the last digit checks the others."""
    doubled = [int(d) * (1 + n % 2) for n, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def card(digits: str) -> bool:
    """Return whether this can be a payment card: a network's first digits with its lengths, and Luhn."""
    size, first2, first4 = len(digits), int(digits[:2]), int(digits[:4])
    network = (
        (digits[0] == "4" and size in (13, 16, 19))
        or ((51 <= first2 <= 55 or 2221 <= first4 <= 2720) and size == 16)
        or (first2 in (34, 37) and size == 15)
        or ((first2 in (36, 38, 39) or 300 <= int(digits[:3]) <= 305) and 14 <= size <= 19)
        or ((first4 == 6011 or first2 in (62, 64, 65) or 3528 <= first4 <= 3589) and 16 <= size <= 19)
        or ((first2 in (50, 63, 67) or 56 <= first2 <= 58) and 13 <= size <= 19)
    )
    return network and len(set(digits)) > 1 and luhn(digits)


def iban(text: str) -> int:
    """Return how many characters of upper-case `text` without blanks are an IBAN from its start; 0 when none are."""
    size = _IBAN_LENGTHS.get(text[:2], 0)
    if not size or len(text) < size:
        return 0
    number = "".join(str(int(c, 36)) for c in text[4:size] + text[:4])
    return size if int(number) % 97 == 1 else 0


def ssn(digits: str) -> bool:
    """Return whether nine digits can be a US social security number: no area 000, 666, 9xx, no group 00, no serial 0000."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def steuer_id(digits: str) -> bool:
    """Return whether eleven digits are a German tax number (ISO 7064 MOD 11,10; one digit occurs twice or three times)."""
    if digits[0] == "0" or sorted(digits[:10].count(d) for d in set(digits[:10]))[-1] not in (2, 3):
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def bsn(digits: str) -> bool:
    """Return whether nine digits are a Dutch citizen number (eleven test)."""
    total = sum(int(d) * w for d, w in zip(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=True))
    return total % 11 == 0 and int(digits) > 0


def cpf(digits: str) -> bool:
    """Return whether eleven digits are a Brazilian taxpayer number."""
    if len(set(digits)) == 1:
        return False
    return all(
        sum(int(d) * w for d, w in zip(digits, range(size + 1, 1, -1), strict=False)) * 10 % 11 % 10
        == int(digits[size])
        for size in (9, 10)
    )


def nhs(digits: str) -> bool:
    """Return whether ten digits are a British health number (mod 11)."""
    rest = 11 - sum(int(d) * w for d, w in zip(digits, range(10, 1, -1), strict=False)) % 11
    return rest % 11 == int(digits[9]) and rest != 10 and len(set(digits)) > 1


_VERHOEFF_P = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
_VERHOEFF_D = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip


def aadhaar(digits: str) -> bool:
    """Return whether twelve digits are an Indian Aadhaar number (Verhoeff; never begins with 0 or 1)."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_VERHOEFF_D[check][int(_VERHOEFF_P[place % 8][int(digit)])])
    return check == 0 and digits[0] not in "01"


def nir(digits: str) -> bool:
    """Return whether fifteen digits are a French social security number (key 97 less the rest)."""
    return digits[0] in "12" and 97 - int(digits[:13]) % 97 == int(digits[13:])


def pesel(digits: str) -> bool:
    """Return whether eleven digits are a Polish citizen number."""
    total = sum(int(d) * w for d, w in zip(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), strict=False))
    return -total % 10 == int(digits[10]) and 1 <= int(digits[4:6]) <= 31


def dni(text: str) -> bool:
    """Return whether eight digits and a letter are a Spanish identity number."""
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(text[:8]) % 23] == text[8]


def chinese_id(text: str) -> bool:
    """Return whether seventeen digits and a digit or X are a Chinese resident number (MOD 11-2, a date inside)."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(d) * w for d, w in zip(text, weights, strict=False))
    dated = 1 <= int(text[10:12]) <= 12 and 1 <= int(text[12:14]) <= 31 and text[6:8] in ("18", "19", "20")
    return dated and "10X98765432"[total % 11] == text[17]


_ODD = dict(
    zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10,
        22, 25, 24, 23), strict=True)
)  # fmt: skip


def italian_code(text: str) -> bool:
    """Return whether sixteen upper-case letters and digits are an Italian tax code (its last letter checks the rest)."""
    total = sum(_ODD[c] if n % 2 == 0 else int(c) if c.isdigit() else ord(c) - 65 for n, c in enumerate(text[:15]))
    return chr(65 + total % 26) == text[15]

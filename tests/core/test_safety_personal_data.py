"""Personal data is found by its form and check digits; what only looks like it is left alone. Keys here are put together
at run time, so that no scanner of repositories takes them for real ones."""

from __future__ import annotations

import random
import string
import time
from itertools import pairwise

import pytest

from autodata_core.safety import KINDS, PersonalData, find_personal_data, mask
from autodata_core.safety.checksums import aadhaar


def drawn(size: int, alphabet: str = string.ascii_letters + string.digits, seed: int = 7) -> str:
    """Return letters and digits that look drawn by chance, with at least one of each."""
    return "".join(random.Random(seed).choices(alphabet, k=size - 2)) + "k7"


JWT = ".".join(("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJqYW5lIn0", drawn(43)))
KEY_ROW = drawn(64, string.ascii_letters + string.digits + "+/")

POSITIVE = [
    # text, kind, what is found
    ("Write to jane.doe@firm.org today.", "email", "jane.doe@firm.org"),
    ("Mail: <o'neil+tag@mail.co.uk>", "email", "o'neil+tag@mail.co.uk"),
    ("mailto:J_Smith@sub.domain.example", "email", "J_Smith@sub.domain.example"),
    ("Kontakt: max.müller@büro.de.", "email", "max.müller@büro.de"),
    ("jane (at) firm (dot) org", "email", "jane (at) firm (dot) org"),
    ("jane.doe [at] firm.org", "email", "jane.doe [at] firm.org"),
    ("Sent by a@b.io", "email", "a@b.io"),
    ("x@firm.museum, please", "email", "x@firm.museum"),
    ("Call +49 30 1234567.", "phone", "+49 30 1234567"),
    ("+1 (212) 555-0123", "phone", "+1 (212) 555-0123"),
    ("+44 (0)20 7946 0958", "phone", "+44 (0)20 7946 0958"),
    ("+33 1 23 45 67 89", "phone", "+33 1 23 45 67 89"),
    ("+4915112345678", "phone", "+4915112345678"),
    ("0049 30 1234567", "phone", "0049 30 1234567"),
    ("His number is (212) 555-0123.", "phone", "(212) 555-0123"),
    ("Ring 212-555-0123 at noon", "phone", "212-555-0123"),
    ("Ring 212.555.0123 at noon", "phone", "212.555.0123"),
    ("London 020 7946 0958", "phone", "020 7946 0958"),
    ("my mobile is 07700 900123", "phone", "07700 900123"),
    ("Berlin: 030/1234567", "phone", "030/1234567"),
    ("Praxis (030) 1234567", "phone", "(030) 1234567"),
    ("Paris, 01 23 45 67 89", "phone", "01 23 45 67 89"),
    ("Tokyo 03-1234-5678", "phone", "03-1234-5678"),
    ("São Paulo (11) 91234-5678", "phone", "(11) 91234-5678"),
    ("8 (495) 123-45-67", "phone", "8 (495) 123-45-67"),
    ("上海 138 1234 5678", "phone", "138 1234 5678"),
    ("Tel: 123456", "phone", "123456"),
    ("Telefon 0171 1234567", "phone", "0171 1234567"),
    ("phone number: 98765 43210", "phone", "98765 43210"),
    ("Móvil: 612 34 56 78", "phone", "612 34 56 78"),
    ("电话：13812345678", "phone", "13812345678"),
    ("Fax 5551234567", "phone", "5551234567"),
    ("Card 4111 1111 1111 1111 expires", "card", "4111 1111 1111 1111"),
    ("4242424242424242", "card", "4242424242424242"),
    ("5555-5555-5555-4444", "card", "5555-5555-5555-4444"),
    ("amex 3782 822463 10005", "card", "3782 822463 10005"),
    ("378282246310005", "card", "378282246310005"),
    ("pay with 6011111111111117 now", "card", "6011111111111117"),
    ("JCB 3530111333300000", "card", "3530111333300000"),
    ("Diners 30569309025904", "card", "30569309025904"),
    ("2223003122003222", "card", "2223003122003222"),
    ("visa = 4111111111111111", "card", "4111111111111111"),
    ("IBAN DE89 3704 0044 0532 0130 00", "iban", "DE89 3704 0044 0532 0130 00"),
    ("GB29NWBK60161331926819", "iban", "GB29NWBK60161331926819"),
    ("to FR1420041010050500013M02606.", "iban", "FR1420041010050500013M02606"),
    ("ES91 2100 0418 4502 0005 1332 BIC", "iban", "ES91 2100 0418 4502 0005 1332"),
    ("NL91ABNA0417164300", "iban", "NL91ABNA0417164300"),
    ("CH93 0076 2011 6238 5295 7", "iban", "CH93 0076 2011 6238 5295 7"),
    ("IT60X0542811101000000123456", "iban", "IT60X0542811101000000123456"),
    ("logged in from 93.184.216.34", "ip", "93.184.216.34"),
    ("host 192.168.1.20 answered", "ip", "192.168.1.20"),
    ("(8.8.4.4)", "ip", "8.8.4.4"),
    ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "ip", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"),
    ("from 2a00:1450:4001:81b::200e to", "ip", "2a00:1450:4001:81b::200e"),
    ("fe80::1ff:fe23:4567:890a", "ip", "fe80::1ff:fe23:4567:890a"),
    ("SSN 219-09-9999", "us_ssn", "219-09-9999"),
    ("078-05-1120", "us_ssn", "078-05-1120"),
    ("social security number 219 09 9999", "us_ssn", "219 09 9999"),
    ("Steuer-ID: 86 095 742 719", "national_id", "86 095 742 719"),
    ("IdNr 47036892816", "national_id", "47036892816"),
    ("BSN 111222333", "national_id", "111222333"),
    ("CPF 529.982.247-25", "national_id", "529.982.247-25"),
    ("CPF: 11144477735", "national_id", "11144477735"),
    ("NHS number 943 476 5919", "national_id", "943 476 5919"),
    ("Aadhaar 2341 2341 2346", "national_id", "2341 2341 2346"),
    ("PESEL 44051401359", "national_id", "44051401359"),
    ("DNI 12345678Z", "national_id", "12345678Z"),
    ("N° de sécurité sociale : 2 55 08 14 168 025 38", "national_id", "2 55 08 14 168 025 38"),
    ("身份证 11010519491231002X", "national_id", "11010519491231002X"),
    ("codice fiscale RSSMRA85T10A562S", "national_id", "RSSMRA85T10A562S"),
    ("key " + "sk-" + drawn(48), "secret", None),
    ("key " + "sk-" + "proj-" + drawn(60), "secret", None),
    ("key " + "sk-" + "ant-api03-" + drawn(90), "secret", None),
    ("gh" + "p_" + drawn(36), "secret", None),
    ("github" + "_pat_" + drawn(82), "secret", None),
    ("gl" + "pat-" + drawn(20), "secret", None),
    ("AK" + "IA" + "Q3EGRI7ZNKX5VTLM", "secret", None),
    ("xo" + "xb-" + "2468013579-" + drawn(24), "secret", None),
    ("AI" + "za" + drawn(35), "secret", None),
    ("Bearer " + JWT, "secret", JWT),
    ("hf" + "_" + drawn(34), "secret", None),
    ("sk" + "_live_" + drawn(24), "secret", None),
    ("npm" + "_" + drawn(36), "secret", None),
    ("postgres://app:" + "t0pS3cr1t!" + "@db.internal/x", "secret", "t0pS3cr1t!"),
    ('password = "' + "Tr0ub4dor&3" + '"', "secret", "Tr0ub4dor&3"),
    ("api_key: '" + drawn(24) + "'", "secret", drawn(24)),
    (
        "-----BEGIN RSA PRIVATE" + " KEY-----\n" + f"{KEY_ROW}\n" * 4 + "-----END RSA PRIVATE" + " KEY-----",
        "secret",
        None,
    ),
    ("AccountKey=" + drawn(86) + "==", "secret", None),
]

BENIGN = [
    # dates, times, prices, counts
    "On 2024-01-31 at 12:34:56 UTC.",
    "31.12.2024",
    "12/31/2024",
    "2024/01/31 08:00",
    "1989-11-09",
    "03.10.1990 – 2024",
    "It costs $1,234,567.89.",
    "€ 12.345.678,90",
    "£4,111.11",
    "1 234 567 units",
    "Revenue rose to 4 111 111 111 dollars.",
    "from 1914 to 1918, and 1939-1945",
    "Population: 83,240,525",
    "299 792 458 m/s",
    "between 1000 and 5000 items",
    "2024-W05-3",
    "20240131T123456Z",
    "1700000000",
    "1700000000000",
    "1,000,000,000,000",
    # books, papers, standards
    "ISBN 978-3-16-148410-0",
    "ISBN 0-306-40615-2",
    "ISBN-10: 3161484100",
    "ISSN 2049-3630",
    "doi:10.1000/182",
    "https://doi.org/10.1038/s41586-020-2649-2",
    "arXiv:2606.25996",
    "RFC 2616, section 14.9.1",
    "ISO/IEC 27001:2022",
    "DIN EN 1090-2:2018-09",
    "§ 312 Abs. 1 BGB",
    "Article 6(1)(f)",
    "Chapter 3.2.1.4 covers it",
    "see 4.1.2.3 above",
    "PMID: 31452104",
    "US Patent 4,405,829",
    "EC 1.1.1.1 alcohol dehydrogenase",
    "CAS 7732-18-5",
    # versions and identifiers
    "version 1.2.3.4",
    "v10.0.19045.2846",
    "firmware 2.4.8.16",
    "release 5.15.0.91",
    "python 3.11.7",
    "package@1.2.3.4",
    "Chrome/120.0.6099.109",
    "OID 1.3.6.1.4.1",
    "1.2.840.113549.1.1.11",
    "numpy==1.26.4",
    "the range 10.0.0.0/8",
    "bind to 0.0.0.0 or 127.0.0.1",
    "netmask 255.255.255.0",
    "octets 300.1.1.1 are invalid",
    "550e8400-e29b-41d4-a716-446655440000",
    "d41d8cd98f00b204e9800998ecf8427e",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit 1a2b3c4d5e6f7081920a",
    "MAC 00:1A:2B:3C:4D:5E",
    "0xDEADBEEFCAFEBABE",
    "IMEI 356938035643809",
    "EAN 4006381333931",
    "part no. 4711-0815-42",
    "serial number 12345678901",
    # numbers
    "pi is 3.14159265358979323846264338327950288",
    "2^64 = 18446744073709551616",
    "9007199254740993",
    "1/3 + 1/6 = 0.5",
    "52.520008, 13.404954",
    "48°51'29.6\"N 2°17'40.2\"E",
    "6.02214076e23",
    "-273.15",
    "[1, 22, 333, 4444, 55555]",
    "0.123 0.456 0.789",
    "4503599627370496 states",
    "123 456 789",
    "1234567890123456",
    "p = 0.0001 (n = 1234567)",
    "12345678 + 87654321 = 99999999",
    "4111111111111112",
    "110-55-1234567",
    "000-12-3456 and 666-12-3456 and 123-00-4567",
    "score 110:108, 98-95",
    "Fibonacci: 1134903170, 1836311903, 2971215073",
    "4111 1111 1111 1112",
    # code and markup
    "@decorator\ndef f(x): ...",
    "icon@2x.png",
    "git@github.com:owner/repo.git",
    "a @ b.T",
    "std::vector<int>::iterator",
    "std::cout << a::b::c;",
    "user@localhost",
    "ssh root@host",
    "x[1:2:3]",
    "sk-learn-based-estimator",
    "sk-your-api-key-here",
    "password = os.environ['DB_PASSWORD']",
    'password = "changeme"',
    "https://user:password@host/",
    "https://user:{SECRET}@host/",
    "token: str = ''",
    "-----BEGIN PUBLIC KEY-----",
    "The file begins with -----BEGIN PRIVATE KEY-----.",
    "eyJ is how a JWT begins",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "x" * 36,
    "api_key = '${API_KEY}'",
    "#4a90d9 and rgb(74,144,217)",
    "12:34:56:789",
    "DE89 3704 0044 0532 0130 01",
    "GB00NWBK60161331926819",
    "A4 2024 B5 1999 C6 1888",
    "Steuer-ID: 12345678901",
    "model 5551234567X",
    "the call took 2024-01-31",
    "text 3.14159265",
    "CPF 111.111.111-11",
    "Tel Aviv in 1909",
    "Fig. 4-2-1, Table 5-3-2",
    "call f(1234567, 7654321)",
    "room 101, floor 12, seat 34-56",
    "see pages 1021-1034",
]


@pytest.mark.parametrize(("text", "kind", "found"), POSITIVE, ids=[case[0][:24] for case in POSITIVE])
def test_what_has_a_form_of_its_own_is_found_whole(text: str, kind: str, found: str | None) -> None:
    (only,) = find_personal_data(text)
    assert only.kind == kind
    if found is not None:
        assert text[only.start : only.end] == found


@pytest.mark.parametrize("text", BENIGN, ids=[text[:24] for text in BENIGN])
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert find_personal_data(text) == ()


def test_precision_and_recall_on_this_corpus_are_stated() -> None:
    """Counted per text, on texts written for these tests; ordinary documents differ."""
    assert len(POSITIVE) >= 60
    assert len(BENIGN) >= 80
    right = sum([x.kind for x in find_personal_data(text)] == [kind] for text, kind, _ in POSITIVE)
    wrong = sum(bool(find_personal_data(text)) for text in BENIGN)
    precision, recall = right / (right + wrong), right / len(POSITIVE)
    print(f"precision {precision:.3f}, recall {recall:.3f} on {len(POSITIVE)} positive and {len(BENIGN)} benign texts")
    assert precision >= 0.99
    assert recall >= 0.99


def test_every_kind_is_in_the_corpus() -> None:
    assert {kind for _, kind, _ in POSITIVE} == set(KINDS)


def test_a_mask_names_the_kind_and_keeps_the_rest() -> None:
    text = "Jane <jane@firm.org>, +49 30 1234567, card 4111 1111 1111 1111."
    assert mask(text, find_personal_data(text)) == "Jane <[email]>, [phone], card [card]."


def test_only_what_is_given_is_masked() -> None:
    text = "a@b.org c@d.org"
    assert mask(text, [x for x in find_personal_data(text) if x.start > 3]) == "a@b.org [email]"
    assert mask(text, ()) == text


def test_of_a_url_only_the_password_is_taken() -> None:
    text = "redis://app:" + "n0tAW0rd" + "@cache:6379/0"
    assert mask(text, find_personal_data(text)) == "redis://app:[secret]@cache:6379/0"


def test_names_and_addresses_are_not_found() -> None:
    """Stated, so that nobody relies on it: this needs a model that knows names."""
    assert find_personal_data("Erika Mustermann, Heidestraße 17, 51147 Köln, born 12 August 1964") == ()


def test_finds_are_in_order_and_apart() -> None:
    found = find_personal_data("a@b.org " * 5 + "+49 30 1234567 " * 5)
    assert [x.kind for x in found] == ["email"] * 5 + ["phone"] * 5
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert found[0] == PersonalData("email", 0, 7)


def test_one_wrong_digit_makes_a_checked_number_none() -> None:
    for n in range(10):
        assert aadhaar(f"23412341234{n}") == (n == 6)


QUICK = ["The pump holds 12 bars. ", "1234567 ", "4111 ", "a@a.", "(0", "1.2.", "数字"]
SLOW = [
    "1",
    "0",
    "4-1",
    "a:b:",
    "+1 ",
    "AB12",
    "a://b:c",
    "phone ",
    "call me at ",
    "eyJ",
    "nhs ",
    "sk-a-",
    "@",
    'password="',
    "Größe ",
    "::1 ",
    "a.",
    "-----BEGIN PRIVATE" + " KEY-----\n",
    "12.5,2024-01-31,0.00123\n",
]


def cpu_s(text: str) -> float:
    before = time.process_time()
    find_personal_data(text)
    return time.process_time() - before


@pytest.mark.parametrize("unit", [*QUICK, *(pytest.param(unit, marks=pytest.mark.long) for unit in SLOW)])
def test_a_megabyte_takes_less_than_a_second(unit: str) -> None:
    million = unit * (1_000_000 // len(unit))
    assert any(cpu_s(million) < 1.0 for _ in range(6))


def test_a_megabyte_of_nothing_but_finds_is_linear_too() -> None:
    """It is read twice: once more after masking."""
    million = "jo@ex.org +49 30 1234567 " * 40_000
    assert any(cpu_s(million) < 2.0 for _ in range(3))

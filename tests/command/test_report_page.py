"""`autodata report --html`: one page that a browser shows as it is, whatever models and documents wrote into it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.stores import SqliteRunStore
from autodata_cli.pages import element, visible
from autodata_cli.report_page import report_page, write_report_page
from autodata_core.coverage import Cell, gaps, measure
from autodata_core.errors import StoreError
from autodata_core.item import ItemState, item_id
from autodata_core.ports import CoverageAsk, CoverageReply
from autodata_core.records import Source, fingerprint
from autodata_core.testing import sample_example, sample_state

pytest.importorskip("sklearn")

HOSTILE = (
    "<script>alert(1)</script>",
    '"><svg onload=alert(2)><animate onbegin=alert(3)>',
    "</title></style></svg><img src=http://example.com/pixel onerror=alert(4)>",
    "' onmouseover='alert(5)",
    "]]><!--<iframe src=javascript:alert(6)>",
    "&lt;b&gt;&#60;i>",
    "\u202egnp.exe\u2066\x1b[2J\x00\u2028",
)
TAGS = """
html head meta title style body main header footer section nav h1 h2 h3 p div span small b i a ol li br
table thead tbody tr th td details summary figure figcaption svg g text rect circle
"""
ATTRIBUTES = """
charset content name open http-equiv lang class id style href xmlns viewbox width height role font-family font-size
fill fill-opacity stroke stroke-width opacity x y cx cy r rx text-anchor transform
"""


class Page(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def finish(store: SqliteRunStore, source: Source, n: int, text: str) -> None:
    """Finish an item whose every text says the same."""
    item = item_id(source)
    state = sample_state(item)
    changed = json.loads(json.dumps(state).replace(state["source_id"], "SOURCE"))
    for played in changed["history"]:
        if played["candidate"]:
            played["candidate"] |= {"question": text, "question_type": text[:90], "skills": [text]}
        for attempt in (*played["weak"], *played["strong"]):
            attempt["answer"] = text
        for reason in played["verdict"]["reasons"]:
            reason["detail"] = text
    changed |= {"source_id": source.id, "source_sha256": source.sha256}
    row = sample_example(item, f"row {n}")
    body = {
        "id": f"ex-{fingerprint(n)[:20]}",
        "question": text,
        "context": text,
        "reference_answer": text,
        "question_type": text[:90],
        "skills": [text],
        "source": {"id": source.id, "sha256": source.sha256, "licence": text, "span": [0, 20]},
    }
    example = type(row).from_json({**row.to_json(), **body})
    store.claim(
        CoverageAsk("r1.coverage", f"{item}/r1", text, {"source": source.id, "question_type": text[:90]}),
        CoverageReply(),
    )
    store.submit_finish(item, ItemState.from_json(changed).to_json(), example).result()


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Return a run in which everything that others wrote is hostile."""
    sources = [
        Source.create(f"{text} and a harbour with {n} boats", id=f"{text[:60]}{n}.md") for n, text in enumerate(HOSTILE)
    ]
    with SqliteRunStore(tmp_path / "run.db") as store:
        store.keep_sources(sources)
        store.register_items([(item_id(source), n, source.id) for n, source in enumerate(sources)])
        for n, source in enumerate(sources[:-1]):
            finish(store, source, n, HOSTILE[n])
        store.set_meta("recipe_json", json.dumps({"name": HOSTILE[2], "domain": {"name": HOSTILE[0]}})).result()
        named = {"weak": {"name": HOSTILE[1]}, HOSTILE[0]: {"name": "x"}}
        store.set_meta(
            "protocol_json", json.dumps({"policy": {"name": HOSTILE[3]}, "models": named, "near_duplicate": 0.9})
        )
        topics = {"topics": [{"name": t, "terms": [t]} for t in HOSTILE], "made_by": "x"}
        topics["of"] = {source.id: HOSTILE[n] for n, source in enumerate(sources)}
        store.set_meta("topics_json", json.dumps(topics)).result()
        targets = [{"cell": {"topic": t, "question_type": t[:90], "band": "any"}, "target": 3} for t in HOSTILE]
        store.set_meta("targets_json", json.dumps(targets)).result()
        store.flush()
    return tmp_path


def test_no_text_of_others_becomes_markup(hostile: Path) -> None:
    content = report_page(hostile)
    page = Page(content)
    assert page.open == []
    assert page.tags <= set(TAGS.split())
    assert {name for name, _ in page.attributes} <= set(ATTRIBUTES.split())
    assert all(re.fullmatch(r"#[a-z]+", value) for name, value in page.attributes if name == "href")
    assert all(re.fullmatch(r"width:[\d.]+%", value) for name, value in page.attributes if name == "style")
    for text in HOSTILE[:-1]:
        assert text in page.text
    assert not any(c in page.text for c in "\u202e\u2066\x1b\x00\u2028")
    assert content.isascii()


def test_the_page_asks_for_nothing_but_itself(hostile: Path) -> None:
    content = report_page(hostile)
    assert "default-src 'none'" in content.replace("&#x27;", "'")
    outside = re.findall(r"(?:https?:)?//[\w.]+", re.sub(r"&[#\w]+;", "", Page(content).text and content))
    assert set(outside) <= {
        "http://www.w3.org",
        "http://example.com",
    }  # a name of SVG, and text of the hostile document
    assert not re.search(r"url\(|@import|<(?:link|base|form|object|embed)", content)


def test_what_a_batch_was_sent_to_and_what_came_of_it_stands_there(hostile: Path) -> None:
    wanted = {Cell(topic=text, question_type="two_step"): 2 for text in HOSTILE[:3]}
    targets = [{"cell": cell.to_json(), "target": target} for cell, target in wanted.items()]
    before = gaps({}, wanted)
    after = gaps({before[0].cell: 2, before[1].cell: 1}, wanted)
    items = [
        {"planned": {"source": "s", "slot": n, "cell": gap.cell.to_json()}, "aim": {}} for n, gap in enumerate(before)
    ]
    items.append({"planned": {"source": "s", "slot": 9, "cell": None, "exploring": True}, "aim": {}})
    first = {"first": 0, "items": items, "open": 3, "gaps": [gap.to_json() for gap in before], "closing": None}
    closing = measure(before, after)
    second = {**first, "first": 4, "closing": {**closing.to_json(), "text": str(closing)}}
    second |= {"open": len(after), "gaps": [gap.to_json() for gap in after]}
    with SqliteRunStore(hostile / "run.db") as store:
        store.set_meta("targets_json", json.dumps(targets)).result()
        for payload in (first, second):
            store.event("plan", payload=payload).result()
    text = Page(report_page(hostile)).text
    assert "Where each batch was sent" in text
    assert f"1 for two_step questions about {HOSTILE[0]}" in text
    assert "1 left to their documents" in text
    assert "gaps: 1 closed, 1 narrowed, 1 as before; 0% → 50% of all rows wanted are there" in text
    assert "50% → " in text  # the next batch goes on where the one before ended


def test_the_same_run_gives_the_same_page(hostile: Path) -> None:
    path = write_report_page(hostile)
    first = path.read_bytes()
    assert write_report_page(hostile).read_bytes() == first
    assert path == hostile / "report.html"
    assert [p.name for p in hostile.iterdir() if p.name.startswith(".")] == []


def test_a_run_without_anything_yet_has_a_page(tmp_path: Path) -> None:
    with SqliteRunStore(tmp_path / "run.db") as store:
        store.flush()
    text = Page(report_page(tmp_path)).text
    assert "No row was kept yet." in text
    assert "No question was refused." in text


def test_the_command_says_where_the_page_is(hostile: Path, autodata: Callable[..., Any]) -> None:
    said = autodata("report", hostile, "--html")
    assert (said.code, said.out.strip()) == (0, str(hostile / "report.html"))
    elsewhere = hostile / "elsewhere.html"
    assert autodata("report", hostile, "--out", elsewhere).out.strip() == str(elsewhere)
    assert elsewhere.read_bytes() == (hostile / "report.html").read_bytes()
    assert autodata("report", hostile).out.startswith("accepted")
    said = autodata("report", hostile, "--out", hostile / "no" / "folder.html")
    assert said.code == 1
    assert "Say where it can" in said.err
    with pytest.raises(StoreError, match="not a run folder"):
        write_report_page(hostile / "nowhere")


def test_text_is_escaped_and_what_hides_is_shown() -> None:
    assert element("p", "<b>", element("i", "&"), class_='"x"') == '<p class="&quot;x&quot;">&lt;b&gt;<i>&amp;</i></p>'
    assert visible("a\u202eb\r\nc\td\x07") == "a\\u{202e}b\nc\td\\u{7}"
    assert visible("x" * 30, 10) == "x" * 9 + "…"

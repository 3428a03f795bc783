"""Reading documents: what counts as a source, what is skipped, and what is an error that names its place."""

from __future__ import annotations

import json
import os
import sys
from datetime import date
from pathlib import Path

import pytest

from autodata_adapters.sources import load_from_object, load_sources
from autodata_core.errors import SourceError
from autodata_core.records import Source


def put(base: Path, name: str, content: str | bytes) -> Path:
    path = base / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def ids(*patterns: str, base: Path) -> list[str]:
    return [source.id for source in load_sources(patterns, base_dir=base).sources]


def test_files_folders_and_globs_are_sorted_and_taken_once(tmp_path: Path) -> None:
    for name in ("c/b.md", "c/a.txt", "c/d/e.md", "c/.hidden.md", "c/picture.png"):
        put(tmp_path, name, f"text of {name}")
    assert ids("c", base=tmp_path) == ["c/a.txt", "c/b.md", "c/d/e.md"]
    assert ids("c/**/*.md", "c/b.md", "c", base=tmp_path) == ["c/a.txt", "c/b.md", "c/d/e.md"]
    assert ids("c/*", base=tmp_path) == ["c/a.txt", "c/b.md", "c/d/e.md"]


def test_a_link_is_followed_and_the_file_behind_two_names_is_one_source(tmp_path: Path) -> None:
    put(tmp_path, "a.md", "text")
    (tmp_path / "z.md").symlink_to("a.md")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert ids(".", base=tmp_path) == ["a.md"]
    assert ids("z.md", base=tmp_path) == ["z.md"]


def test_a_source_has_its_text_hash_and_licence(tmp_path: Path) -> None:
    put(tmp_path, "c/LICENSE", "\n  CC-BY-4.0  \nmore\n")
    put(tmp_path, "c/a.md", "\ufeffGrüße\r\n")
    source = load_sources(["c"], base_dir=tmp_path).sources[0]
    assert (source.text, source.licence) == ("Grüße\r\n", "CC-BY-4.0")
    assert source == Source.create("Grüße\r\n", id="c/a.md", licence="CC-BY-4.0", meta={"file": "c/a.md"})
    assert load_sources(["c"], base_dir=tmp_path, licence="MIT").sources[0].licence == "MIT"


@pytest.mark.parametrize("content", [b"", b" \n\t\n", b"\xef\xbb\xbf", b"a\0b", b"\xff\xfea\0", b"caf\xe9"])
def test_an_empty_or_binary_document_among_others_is_skipped_and_alone_an_error(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, "bad.md", content)
    put(tmp_path, "good.md", "text")
    loaded = load_sources(["*.md"], base_dir=tmp_path)
    assert [source.id for source in loaded.sources] == ["good.md"]
    assert [skipped.id for skipped in loaded.skipped] == ["bad.md"]
    assert loaded.skipped[0].reason
    with pytest.raises(SourceError, match=r"no usable text.*bad\.md"):
        load_sources(["bad.md"], base_dir=tmp_path)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("*.md", r"No source matches '\*\.md' in .*"),
        ("missing.md", "'missing.md' does not exist"),
        ("empty", "'empty' .* holds no file of a known kind"),
        ("table.csv", r"unknown kind '\.csv'; known are \.txt, \.md, \.jsonl"),
        ("t*.csv", r"matches only files of unknown kinds, such as 'table\.csv'"),
        ("pipe.md", "not a regular file"),
    ],
)
def test_a_pattern_that_gives_nothing_is_named(tmp_path: Path, pattern: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    put(tmp_path, "table.csv", "a,b")
    os.mkfifo(tmp_path / "pipe.md")
    base = tmp_path if pattern != "*.md" else tmp_path / "empty"
    with pytest.raises(SourceError, match=message):
        load_sources([pattern], base_dir=base)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, "a.md", "text").chmod(0)
    with pytest.raises(SourceError, match="cannot be read"):
        load_sources(["a.md"], base_dir=tmp_path)


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    put(tmp_path, "a.md", "text")
    os.truncate(tmp_path / "a.md", 60 * 1024 * 1024)
    with pytest.raises(SourceError, match="is the most"):
        load_sources(["a.md"], base_dir=tmp_path)


def test_each_line_of_jsonl_is_a_source(tmp_path: Path) -> None:
    lines = [
        {"id": "one", "text": "first\u2028still first", "licence": "MIT", "meta": {"title": "T"}},
        {"text": "second"},
        {"id": "three", "text": "  "},
    ]
    put(tmp_path, "d.jsonl", "\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\r\n\n")
    loaded = load_sources(["d.jsonl"], base_dir=tmp_path, licence="CC0")
    assert [(s.id, s.licence) for s in loaded.sources] == [("one", "MIT"), ("d.jsonl:2", "CC0")]
    assert loaded.sources[0].meta == {"file": "d.jsonl", "line": 1, "title": "T"}
    assert loaded.sources[0].text == "first\u2028still first"
    assert [skipped.id for skipped in loaded.skipped] == ["three"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "text": "b"}', "the key 'text' stands there twice"),
        ('{"text": "a", "meta": {"x": 1, "x": 2}}', "the key 'x' stands there twice"),
        ('{"text": "a", "titel": 1}', "unknown key 'titel'"),
        ('{"text": 5}', "'text' must be a string"),
        ('{"id": 5, "text": "a"}', "'id' must be a string"),
        ('{"text": "a", "meta": []}', "'meta' must be an object"),
        ('{"text": "a", "meta": {"x": NaN}}', "NaN is not a JSON number"),
        ('{"text": "a", "meta": {"x": 1e999}}', "too large"),
        ('{"text": "a", "meta": {"x": 99999999999999999999}}', "64 bits"),
        ('{"text": "a"', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('["a"]', "expected an object"),
        ('{"id": "ok", "text": "other"}', "the id 'ok' stands in line 1 already"),
        ('{"text": "a", "sha256": "00"}', "does not fit the text"),
    ],
)
def test_a_wrong_line_is_an_error_with_its_number(tmp_path: Path, line: str, message: str) -> None:
    put(tmp_path, "d.jsonl", '{"id": "ok", "text": "fine"}\n' + line + "\n")
    with pytest.raises(SourceError, match=rf"d\.jsonl, line 2: .*{message}"):
        load_sources(["d.jsonl"], base_dir=tmp_path)


def test_half_a_surrogate_pair_becomes_valid_text(tmp_path: Path) -> None:
    put(tmp_path, "d.jsonl", r'{"text": "a\ud800b", "meta": {"k": "\udfff"}}')
    source = load_sources(["d.jsonl"], base_dir=tmp_path).sources[0]
    assert (source.text, source.meta["k"]) == ("a?b", "?")


def test_an_id_in_two_files_is_kept_once_with_one_text_and_an_error_with_two(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", '{"id": "x", "text": "same"}\n')
    put(tmp_path, "b.jsonl", '{"id": "x", "text": "same"}\n')
    assert ids("*.jsonl", base=tmp_path) == ["x"]
    put(tmp_path, "b.jsonl", '{"id": "x", "text": "other"}\n')
    with pytest.raises(
        SourceError, match=r"b\.jsonl, line 1: the id 'x' is taken by another text, at a\.jsonl, line 1"
    ):
        ids("*.jsonl", base=tmp_path)


def test_a_long_path_still_gives_an_id(tmp_path: Path) -> None:
    name = "/".join(["f" * 60] * 4) + "/a.md"
    put(tmp_path, name, "text")
    assert len(ids(".", base=tmp_path)[0]) == 200


def test_a_long_document_is_cut_at_its_paragraphs(tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {n}. " + "word " * 30 for n in range(20)]
    put(tmp_path, "a.md", "\n\n".join(paragraphs))
    put(tmp_path, "b.md", "short")
    put(tmp_path, "c.md", "x" * 2000)
    loaded = load_sources(["."], base_dir=tmp_path, chunk_tokens=80)
    parts = [source for source in loaded.sources if source.id.startswith("a.md")]
    assert [part.id for part in parts[:2]] == ["a.md#1", "a.md#2"]
    assert all(part.text.startswith("Paragraph") for part in parts)
    whole = (tmp_path / "a.md").read_text()
    assert all(whole[slice(*part.meta["span"])] == part.text for part in parts)
    assert "".join("".join(part.text.split()) for part in parts) == "".join(whole.split())
    assert "b.md" in [source.id for source in loaded.sources]
    assert "".join(source.text for source in loaded.sources if source.id.startswith("c.md#")) == "x" * 2000


LOADER = """
from types import SimpleNamespace
from autodata_core.records import Source
from datetime import date

def documents():
    yield "plain text"
    yield {"id": "d", "text": "mapping", "meta": {"day": date(2026, 1, 2)}}
    yield Source.create("a source", id="s")
    yield SimpleNamespace(page_content="a document", metadata={"source": "f.pdf", "licence": "MIT"}, id=None)
    yield {"id": "e", "text": " "}

LIST = ["only one"]

class Loader:
    def lazy_load(self):
        yield "lazy"

def wrong():
    yield 5

def broken():
    raise RuntimeError("no connection")
"""


def test_a_users_object_yields_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    put(tmp_path, "my_corpus_loader.py", LOADER)
    loaded = load_from_object("my_corpus_loader:documents", tmp_path, licence="CC0")
    assert [source.text for source in loaded.sources] == ["plain text", "mapping", "a source", "a document"]
    assert [source.licence for source in loaded.sources] == ["CC0", "CC0", "CC0", "MIT"]
    assert loaded.sources[1].meta == {"day": str(date(2026, 1, 2))}
    assert [skipped.id for skipped in loaded.skipped] == ["e"]
    assert load_from_object("my_corpus_loader:LIST", tmp_path).sources[0].text == "only one"
    assert load_from_object("my_corpus_loader:Loader", tmp_path).sources[0].text == "lazy"
    for name, message in {
        "wrong": "document 1: expected text",
        "broken": "failed: RuntimeError: no connection",
        "missing": "has no 'missing'",
    }.items():
        with pytest.raises(SourceError, match=message):
            load_from_object(f"my_corpus_loader:{name}", tmp_path)
    with pytest.raises(SourceError, match="cannot be imported"):
        load_from_object("no_such_module_here:x", tmp_path)


def test_documents_of_langchain_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    code = """
from langchain_core.documents import Document
PARTS = [Document("one", metadata={"source": "f.pdf", "page": 1}), Document("two", metadata={"source": "f.pdf"}, id="d2")]
"""
    put(tmp_path, "my_langchain_loader.py", code)
    one, two = load_from_object("my_langchain_loader:PARTS", tmp_path).sources
    assert (one.text, one.meta, two.id) == ("one", {"source": "f.pdf", "page": 1}, "d2")
    assert one.id != two.id

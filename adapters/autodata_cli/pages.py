"""One HTML page that needs nothing but itself: no script, no network, no file beside it. What it says is up to `report_page`.

Text is never markup: a child that is not `Html` is escaped, and what hides or turns writing is shown by its number.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["Html", "bar", "element", "fold", "join", "page", "section", "table", "visible"]

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_STYLE = """
:root{color-scheme:light dark;--back:#f7f7f5;--card:#fff;--text:#1d2329;--soft:#5a6570;--line:#dfe2e6;--accent:#2457c5;
--good:#1a7f4b;--warn:#8a5a00;--stop:#b42318;--track:#e8eaee}
@media(prefers-color-scheme:dark){:root{--back:#13161a;--card:#1b2026;--text:#e5e8ec;--soft:#9ba6b2;--line:#303841;
--accent:#7ea6ff;--good:#62cf95;--warn:#e6b450;--stop:#ff7b72;--track:#2a313a}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;
overflow-wrap:anywhere}
main{max-width:1020px;margin:0 auto;padding:24px 18px 64px}
h1{font-size:1.75rem;line-height:1.2;margin:.2em 0}
h2{font-size:1.25rem;margin:0 0 .3em}
h3{font-size:1rem;margin:1.4em 0 .4em}
p{margin:.4em 0 .8em;max-width:72ch}
.soft,small{color:var(--soft)}
small{font-size:.85rem}
nav{margin:14px 0 0;font-size:.9rem}
nav a{color:var(--accent);text-decoration:none;margin-right:14px;white-space:nowrap}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin-top:18px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(122px,1fr));gap:10px;margin-top:18px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tile b{display:block;font-size:1.4rem;line-height:1.25;font-variant-numeric:tabular-nums;overflow-wrap:normal}
.tile span{display:block;font-size:.85rem;color:var(--soft)}
.wide{overflow-x:auto;margin:0 -4px;padding:0 4px}
table{border-collapse:collapse;width:100%;font-size:.93rem;overflow-wrap:normal}
th{text-align:left;font-weight:600;color:var(--soft);font-size:.82rem;white-space:nowrap}
th,td{padding:6px 12px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
td{min-width:4.5em;overflow-wrap:break-word}
tr:last-child td{border-bottom:0}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;min-width:3em}
.bar{display:block;height:9px;border-radius:5px;background:var(--track);min-width:90px;margin-top:8px}
.bar i{display:block;height:9px;border-radius:5px;background:var(--accent)}
.bar.good i{background:var(--good)}.bar.warn i{background:var(--warn)}.bar.soft i{background:var(--soft)}
.good{color:var(--good)}.warn{color:var(--warn)}.stop{color:var(--stop)}
ol{padding-left:1.4em;margin:.4em 0}
li{margin:.35em 0}
.row{border-top:1px solid var(--line);padding:16px 0 10px}
.row:first-of-type{border-top:0}
.tags{font-size:.82rem;color:var(--soft);margin-bottom:6px}
.said{white-space:pre-wrap;margin:.15em 0 .6em;max-width:80ch}
.quote{border-left:3px solid var(--line);padding-left:12px;color:var(--soft)}
.ask{font-weight:600;font-size:1.05rem}
.label{font-size:.78rem;letter-spacing:.02em;color:var(--soft);margin:.7em 0 0}
details{margin:.5em 0}
.row>details:only-child{margin:-8px 0 -2px}
summary{cursor:pointer;color:var(--accent);font-size:.9rem}
figure{margin:14px 0 4px}
figcaption{font-size:.88rem;color:var(--soft);margin-bottom:6px}
svg{max-width:none;color:var(--text)}
svg.fits{max-width:100%;height:auto}
footer{margin-top:22px;font-size:.85rem;color:var(--soft)}
@media(max-width:560px){main{padding:14px 10px 40px}section{padding:14px 12px}h1{font-size:1.4rem}
.tiles{grid-template-columns:1fr 1fr;gap:8px}.tile b{font-size:1.3rem}th,td{padding-right:9px}}
@media print{body{background:#fff}section,.tile{break-inside:avoid}nav{display:none}}
"""


class Html(str):
    """Markup of ours."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str) -> Html:
    """Return an element. Text is escaped, `Html` is not; `class_` stands for `class`."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Html:
    """Return the children one after the other."""
    return Html("".join(child if isinstance(child, Html) else escape(visible(child)) for child in children))


def visible(text: str, limit: int = 20_000) -> str:
    """Return text in which nothing hides, turns the writing or ends a line but a line end."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    plain = cut.replace("\r\n", "\n")
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in _HIDDEN else f"\\u{{{ord(c):x}}}" for c in plain)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> Html:
    """Return a table that scrolls by itself where a screen is too narrow.

    Args:
        head: Names of the columns.
        rows: Cells, one for each column.
        numbers: Columns that stand right.
    """

    def line(cells: Sequence[str], tag: str) -> Html:
        return element(
            "tr",
            *(element(tag, cell, class_="n") if n in numbers else element(tag, cell) for n, cell in enumerate(cells)),
        )

    body = element("tbody", *(line(row, "td") for row in rows))
    return element("div", element("table", element("thead", line(head, "th")), body), class_="wide")


def bar(share: float, kind: str = "") -> Html:
    """Return a bar of a share in [0, 1]."""
    width = f"width:{max(0.0, min(1.0, share)) * 100:.1f}%"
    return element("span", element("i", style=width), class_=f"bar {kind}".strip())


def fold(summary: str, *children: str, unfolded: bool = False) -> Html:
    """Return what is read only when somebody asks for it."""
    given = {"open": ""} if unfolded else {}
    return element("details", element("summary", summary), *children, **given)


def section(name: str, title: str, *children: str) -> Html:
    """Return a part of the page that can be linked to."""
    return element("section", element("h2", title), *children, id=name)


def page(title: str, *children: str) -> str:
    """Return the whole page, ASCII only, so that no reader takes it for another encoding."""
    head = join(
        [
            Html('<meta charset="utf-8">'),
            Html(f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'),
            Html('<meta name="viewport" content="width=device-width,initial-scale=1">'),
            Html('<meta name="referrer" content="no-referrer">'),
            element("title", title),
            Html(f"<style>{_STYLE}</style>"),
        ]
    )
    body = element("body", element("main", *children))
    whole = f'<!doctype html>\n<html lang="en"><head>{head}</head>{body}</html>\n'
    return whole.encode("ascii", "xmlcharrefreplace").decode("ascii")

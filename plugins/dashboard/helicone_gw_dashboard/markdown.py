"""Markdown: as much of it as READMEs of plugins need, to HTML in which every text is escaped and nothing can run.

Headings, paragraphs, lists, quotes, fenced code, tables; in lines ``code``, **strong**, *emphasis* and links to http(s)
addresses. Whatever else there is, HTML among it, stands there as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from markupsafe import Markup, escape

MOST: Final = 200_000
"""Characters that are read."""

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_ITEM = re.compile(r"\s*(?:([-*+])|\d{1,9}[.)])\s+(.*)")
_FENCE = re.compile(r"\s*(```+|~~~+)")
_RULE = re.compile(r"\s*\|?(\s*:?-+:?\s*\|)+\s*(:?-+:?\s*)?$")
_INLINE = re.compile(
    r"`([^`]+)`|\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*|\[([^\]]+)\]\((https?://[^\s)]{1,500})\)|\[([^\]]+)\]\([^)]*\)"
)

_QUOTE, _PARAGRAPH = Markup("<blockquote>{}</blockquote>"), Markup("<p>{}</p>")


def rendered(text: str) -> Markup:
    """``text`` as HTML; its first heading is left out, for the page has one."""
    return Markup("\n").join(_blocks(text[:MOST].replace("\t", "    ").splitlines()))


def _blocks(lines: Sequence[str]) -> Iterator[Markup]:
    at, first = 0, True
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif fence := _FENCE.match(line):
            end = at + 1
            while end < len(lines) and not lines[end].strip().startswith(fence[1]):
                end += 1
            yield Markup('<pre class="code" tabindex="0">{}</pre>').format("\n".join(lines[at + 1 : end]))
            at = end + 1
        elif heading := _HEADING.match(line):
            level = min(len(heading[1]) + 1, 6)
            if not (first and level == 2):
                yield Markup("<h{0}>{1}</h{0}>").format(level, inline(heading[2]))
            first = False
            at += 1
        elif "|" in line and at + 1 < len(lines) and _RULE.match(lines[at + 1]):
            end = at + 2
            while end < len(lines) and "|" in lines[end]:
                end += 1
            yield _table(line, lines[at + 2 : end])
            at = end
        elif _ITEM.match(line):
            end = _until_blank(lines, at)
            yield _list(lines[at:end])
            at = end
        else:
            end = at + 1
            while end < len(lines) and lines[end].strip() and not _begins(lines[end]):
                end += 1
            said = " ".join(each.strip().removeprefix(">").strip() for each in lines[at:end])
            quoted = line.lstrip().startswith(">")
            yield (_QUOTE if quoted else _PARAGRAPH).format(inline(said))
            at = end


def _begins(line: str) -> bool:
    return bool(_FENCE.match(line) or _HEADING.match(line) or _ITEM.match(line))


def _until_blank(lines: Sequence[str], at: int) -> int:
    while at < len(lines) and lines[at].strip() and not _FENCE.match(lines[at]):
        at += 1
    return at


def _list(lines: Sequence[str]) -> Markup:
    items: list[list[str]] = []
    first = _ITEM.match(lines[0])
    for line in lines:
        found = _ITEM.match(line)
        if found is not None:
            items.append([found[2]])
        else:
            items[-1].append(line.strip())
    tag = "ul" if first is not None and first[1] else "ol"
    inside = Markup("").join(Markup("<li>{}</li>").format(inline(" ".join(item))) for item in items)
    return Markup("<{0}>{1}</{0}>").format(tag, inside)


def _table(head: str, rows: Sequence[str]) -> Markup:
    def cells(line: str, tag: str) -> Markup:
        # A bar within code or after a backslash divides nothing.
        parts = re.split(r"(?<!\\)\|(?=(?:[^`]*`[^`]*`)*[^`]*$)", line.strip().strip("|"))
        texts = [part.strip().replace("\\|", "|") for part in parts]
        made = (Markup("<{0}>{1}</{0}>").format(tag if text else "td", inline(text)) for text in texts)
        return Markup("<tr>{}</tr>").format(Markup("").join(made))

    body = Markup("").join(cells(row, "td") for row in rows)
    return Markup('<div class="scroll" tabindex="0"><table><thead>{}</thead><tbody>{}</tbody></table></div>').format(
        cells(head, "th"), body
    )


def inline(text: str) -> Markup:
    """One line of text.

    >>> inline("<b> `a|b` **c** [d](https://example.com/?e=1&f) [g](javascript:h)")
    Markup('&lt;b&gt; <code>a|b</code> <b>c</b> <a href="https://example.com/?e=1&amp;f" rel="noreferrer">d</a> g')
    """
    made, at = [], 0
    for found in _INLINE.finditer(text):
        code, strong, emphasis, label, address, local = found.groups()
        made.append(escape(text[at : found.start()]))
        if code is not None:
            made.append(Markup("<code>{}</code>").format(code))
        elif strong is not None:
            made.append(Markup("<b>{}</b>").format(inline(strong)))
        elif emphasis is not None:
            made.append(Markup("<em>{}</em>").format(emphasis))
        elif address is not None:
            made.append(Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, label))
        else:
            made.append(inline(local))
        at = found.end()
    made.append(escape(text[at:]))
    return Markup("").join(made)

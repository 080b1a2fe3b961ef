"""Rewritings of a page that a browser, an archive, a minifier or a season makes, and that change nothing it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape

from bs4 import BeautifulSoup

_TAG = re.compile(r"""<[a-zA-Z][a-zA-Z0-9]*(?:[^<>"']|"[^"]*"|'[^']*')*>""")
_ATTRIBUTE = re.compile(r"""\s([^\s"'<>/=]+)\s*=\s*("[^"]*"|'[^']*')""")
_SCRIPT = re.compile(r"(<script\b.*?</script>|<style\b.*?</style>|<!--.*?-->)", re.I | re.S)
_LINK = re.compile(r"""(\s(?:href|src)\s*=\s*["'])(?:https?://myanimelist\.net)?(/[^"'/][^"']*)""", re.I)


def _in_markup(page: str, change: Callable[[str], str]) -> str:
    """`change` on what stands outside scripts, styles and comments."""
    parts = _SCRIPT.split(page)
    parts[::2] = map(change, parts[::2])
    return "".join(parts)


def _in_tags(page: str, change: Callable[[str], str]) -> str:
    return _in_markup(page, lambda text: _TAG.sub(lambda tag: change(tag[0]), text))


def _requoted(tag: str) -> str:
    def other(found: re.Match[str]) -> str:
        value = found[2][1:-1]
        mark = "'" if found[2][0] == '"' else '"'
        return found[0] if mark in value else f" {found[1]}={mark}{value}{mark}"

    return _ATTRIBUTE.sub(other, tag)


def _reordered(tag: str) -> str:
    found = list(_ATTRIBUTE.finditer(tag))
    if len({attribute[1].lower() for attribute in found}) < len(found):  # of two the first counts
        return tag
    parts, at = [], 0
    for here, attribute in zip(found, reversed(found), strict=True):
        parts += [tag[at : here.start()], attribute[0]]
        at = here.end()
    return "".join(parts) + tag[at:]


def _archived(page: str) -> str:
    linked = _in_tags(
        page, lambda tag: _LINK.sub(r"\1https://web.archive.org/web/20210520010203/https://myanimelist.net\2", tag)
    )
    head = '<script src="/_static/js/wombat.js"></script><!-- End Wayback Rewrite JS Include -->'
    toolbar = (
        "<!-- BEGIN WAYBACK TOOLBAR INSERT --><style>#wm-ipp-base { height: 65px }</style>"
        '<div id="wm-ipp-base" lang="en" style="display:none;"><div id="wm-ipp"><table><tbody><tr><td class="n">'
        '<a href="/web/2021*/x">12 captures</a></td></tr></tbody></table></div></div>'
        "<script>var page = '<html></html>';</script><!-- END WAYBACK TOOLBAR INSERT -->"
    )
    linked = re.sub(r"(<head\b[^>]*>)", lambda m: m[1] + head, linked, count=1)
    linked = re.sub(r"""(<body\b(?:[^>"']|"[^"]*"|'[^']*')*>)""", lambda m: m[1] + toolbar, linked, count=1)
    return linked + "<!--\n     FILE ARCHIVED ON 01:02:03 May 20, 2021 </html>\n-->"


def _with_extras(page: str) -> str:
    extra = '<script>document.write("<html><h1>404</h1></html>")</script><!-- </html> --><style>.a > b { }</style>'
    return re.sub(r"""(<body\b(?:[^>"']|"[^"]*"|'[^']*')*>)""", lambda m: m[1] + extra, page, count=1)


VARIANTS: dict[str, Callable[[str], str | bytes]] = {
    "bytes": lambda page: page.encode(),
    "bytes with a mark": lambda page: b"\xef\xbb\xbf" + page.encode(),
    "utf-16": lambda page: page.encode("utf-16"),
    "a wrong charset in the head": lambda page: page.replace("<head>", '<head><meta charset="big5">', 1).encode(),
    "Windows line ends": lambda page: page.replace("\r\n", "\n").replace("\n", "\r\n"),
    "tabs": lambda page: _in_markup(page, lambda text: text.replace("\n", "\n\t\t")),
    "one line": lambda page: _in_markup(page, lambda text: re.sub(r"\s+", " ", text)),
    "other quotes": lambda page: _in_tags(page, _requoted),
    "other order of attributes": lambda page: _in_tags(page, _reordered),
    "capitals": lambda page: _in_markup(
        page, lambda text: re.sub(r"(</?)([a-z][a-z0-9]*)(?=[\s>/])", lambda m: m[1] + m[2].upper(), text)
    ),
    "another season": lambda page: re.sub(r'(<body\b[^>]*class=")', r"\1easter ", page, count=1),
    "saved by a browser": lambda page: str(BeautifulSoup(page, "lxml")),
    "written prettily": lambda page: str(BeautifulSoup(page, "lxml").prettify()),
    "archived": _archived,
    "scripts and comments with an end in them": _with_extras,
    "twice": lambda page: page + page,
    "text after the end": lambda page: page + "\n<script></script>" + escape("<tr class='ranking-list'>"),
}

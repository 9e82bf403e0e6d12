"""Check that the pages of a site load nothing from a network: docs/site/check_offline.py SITE.

Links that a reader follows may lead elsewhere; what a browser loads by itself may not.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

# What a browser loads when it shows a page, by element; `link` loads by its relation.
_LOADED = {
    "audio": ("src",),
    "embed": ("src",),
    "form": ("action",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
# Relations of links that name a page and load nothing.
_NAMING = {"author", "canonical", "help", "index", "license", "next", "prev", "search", "up"}
_ELSEWHERE = re.compile(r"\s*(?:\w+:)?//")
_IN_STYLE = re.compile(r"(?:url\(|@import)\s*['\"]?((?:\w+:)?//[^'\")\s;]+)")
_IN_SCRIPT = re.compile(
    r"(?:fetch|import|importScripts|require|open)\(\s*['\"`]((?:https?:)?//[^'\"`]+)"
)


class _Page(HTMLParser):
    """Collects what a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at the addresses of an element."""
        values = {name: value or "" for name, value in attrs}
        names = _LOADED.get(tag, ())
        if tag == "link" and set(values.get("rel", "").split()) - _NAMING:
            names = ("href",)
        if tag == "meta" and "refresh" in values.get("http-equiv", "").lower():
            self.found += re.findall(r"url=\s*((?:\w+:)?//\S+)", values.get("content", ""))
        addresses = [part for name in names for part in values.get(name, "").split(",")]
        self.found += [address.strip() for address in addresses if _ELSEWHERE.match(address)]
        self.found += _IN_STYLE.findall(values.get("style", ""))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        """Look at the text of styles and scripts."""
        if self._inside == "style":
            self.found += _IN_STYLE.findall(data)
        elif self._inside == "script":
            self.found += _IN_SCRIPT.findall(data)

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._inside = ""


def loaded_from_elsewhere(text: str, suffix: str) -> list[str]:
    """Return the addresses that a file has a browser load from a network.

    Args:
      text: The file.
      suffix: `.html`, `.svg`, `.css` or `.js`.
    """
    if suffix == ".css":
        return _IN_STYLE.findall(text)
    if suffix == ".js":
        return _IN_SCRIPT.findall(text)
    page = _Page()
    page.feed(text)
    return page.found


def offences(site: Path) -> Iterator[str]:
    """Yield a line for each address that a file of the site loads from a network."""
    for file in sorted(site.rglob("*")):
        if file.suffix in {".html", ".svg", ".css", ".js"}:
            for address in loaded_from_elsewhere(file.read_text(encoding="utf-8"), file.suffix):
                yield f"{file.relative_to(site)} loads {address}"


if __name__ == "__main__":
    sys.exit("\n".join(offences(Path(sys.argv[1]))) or 0)

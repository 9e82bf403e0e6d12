"""An HTML page, parsed strictly."""

import collections
import html.parser

VOID = {"meta", "link", "rect", "br"}


class Parsed(html.parser.HTMLParser):
    """Tags that close in order, what they link to, and the text of each element kind."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.tags = [], [], collections.Counter()
        self.text, self.titles, self.tables = "", [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.links += [value for name, value in attrs if name in ("href", "src", "action")]
        self.titles += [value for name, value in attrs if name == "title"]
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data
            if {"td", "th"} & set(self.open):
                self.tables[-1][-1][-1] += data.strip()

"""The reference's Markdown as HTML: tables, fenced code, and links from topic to topic. What goes in is ours alone.

No attribute `style` comes of it, which our CSP forbids.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from xml.etree.ElementTree import Element

import markdown
from markdown.extensions.tables import TableExtension
from markdown.extensions.toc import TocExtension
from markdown.treeprocessors import Treeprocessor
from markupsafe import Markup

from tocsin.docs import TOPICS, page


@lru_cache(maxsize=len(TOPICS))
def topic_html(topic: str, url: Callable[[str], str]) -> Markup:
    """A topic's page; `url` makes addresses of our paths. KeyError for no topic."""
    made = markdown.Markdown(
        extensions=["fenced_code", TableExtension(use_align_attribute=True), TocExtension(), "sane_lists"],
        output_format="html",
    )
    made.preprocessors.deregister("html_block")  # what stands in angle brackets is text, as on a terminal
    made.inlinePatterns.deregister("html")
    made.treeprocessors.register(_Ours(made, url), "tocsin", 5)
    text = made.convert(page(topic)).replace("<pre>", '<pre tabindex="0">')  # it scrolls, by keys too
    return Markup(text)  # noqa: S704 - of our own reference


class _Ours(Treeprocessor):  # type: ignore[misc]  # the library tells no types
    """Another topic's file becomes that topic's address; what leads elsewhere says nothing of us."""

    def __init__(self, made: Any, url: Callable[[str], str]) -> None:
        super().__init__(made)
        self._url = url

    def run(self, root: Element) -> None:
        for head in root.iter("th"):
            if not len(head) and not (head.text or "").strip():
                head.tag = "td"  # a head that says nothing is none
        for link in root.iter("a"):
            name, _, anchor = link.get("href", "").partition("#")
            topic = name.removesuffix(".md")
            if topic in TOPICS and name != topic:
                link.set("href", self._url(f"/help/{topic}") + (f"#{anchor}" if anchor else ""))
            elif "://" in name:
                link.set("rel", "noreferrer")
            link.set("class", "link")

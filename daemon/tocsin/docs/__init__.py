"""The reference, page by page: Markdown files beside this one, which `tocsin help TOPIC` shows."""

import re
from pathlib import Path

TOPICS = (
    "rules", "functions", "fields", "tests", "channels", "telegram", "slack", "acting", "evening", "page", "actions", "reports", "venues", "describe-a-venue", "config", "commands", "service", "watching", "state", "performance",
)  # fmt: skip
"""In the order in which one reads them; each is the name of a file."""
_COMMENT = re.compile(r"<!--.*?-->\n", re.DOTALL)


def page(topic: str) -> str:
    """The page as Markdown, without comments (which only mark the tables that are made). KeyError for no topic."""
    if topic not in TOPICS:
        raise KeyError(topic)
    return _COMMENT.sub("", (Path(__file__).parent / f"{topic}.md").read_text(encoding="utf-8"))


def summary(topic: str) -> str:
    """What the page is about, in one line: what its heading says behind the colon."""
    return page(topic).partition("\n")[0].partition(": ")[2]

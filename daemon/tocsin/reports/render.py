"""From what a report is made of to its message: the user's words, or ours."""

from collections.abc import Sequence
from functools import lru_cache, partial

import trio
from jinja2 import TemplateSyntaxError
from jinja2.meta import find_undeclared_variables

from tocsin.alerts.wording import Style
from tocsin.delivery.model import Message
from tocsin.delivery.own_words import OwnWords
from tocsin.delivery.templates import Render
from tocsin.reports import wording
from tocsin.reports.facts import KINDS_TOLD, Facts
from tocsin.reports.model import Report
from tocsin.reports.values import BOX, values


def render(facts: Facts, style: Style, *, delivery_id: str, notes: Sequence[str] = ()) -> Message:
    """The message, its title without a mark. Where a template fails, our own words and a remark on that; `notes` are further remarks."""
    remarks = [*notes, *facts.left_out]
    templates = [each for each in (facts.title, facts.message) if each is not None]
    names = {*wording.NAMES, *(name for each in templates for name in names_in(each))}
    known = values(facts, style, names)
    own = OwnWords(BOX, known, style.tz, facts.at, "the report's")
    title = own.of("title", facts.title, remarks)
    body = own.of("message", facts.message, remarks)
    return Message(
        title=" ".join(title.split()) if title else wording.headline(known, facts.counts),
        body="\n".join([*remarks, body or wording.text(known, facts.counts)]),
        severity="info",
        delivery_id=delivery_id,
    )


async def made(facts: Facts, style: Style, delivery_id: str, make: Render) -> Message:
    """The same; a user's templates by `make`, our own words in a thread: of thousands of positions they take a second."""
    draft = partial(render, facts, style, delivery_id=delivery_id)
    if facts.title is None and facts.message is None:
        return await trio.to_thread.run_sync(draft, abandon_on_cancel=True)
    return await make(draft)


@lru_cache(maxsize=100)
def names_in(template: str) -> frozenset[str]:
    """What a template reads; nothing of one that is none."""
    try:
        return frozenset(find_undeclared_variables(BOX.parse(template)))
    except TemplateSyntaxError:
        return frozenset()


def kinds_of(report: Report) -> frozenset[str]:
    """The kinds of entities that our own words tell of, and those that its templates read."""
    templates = [each for each in (report.title, report.message) if each is not None]
    names = {name for each in templates for name in names_in(each)}
    return wording.KINDS | {KINDS_TOLD[name] for name in names if name in KINDS_TOLD}

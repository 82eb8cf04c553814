"""What if a rule's numbers were others: a form of its numbers and durations, tried over what is stored. Nothing is changed.

    POST /what-if    rule=ID, set.PATH=VALUE for each number (`config.settable`), show=diff for what would stand in the file instead

htmx puts the answer below the form; without JavaScript it is a page of its own, after up to half a minute.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.alerts.wording import Style
from tocsin.config.edits import edit_rules
from tocsin.config.rule_sources import RuleSource
from tocsin.config.rule_text import edits_of, rule_text
from tocsin.config.settings import Settings, UnknownRule
from tocsin.control.server import in_thread
from tocsin.errors import TocsinError
from tocsin.page.leaving import until_gone
from tocsin.page.posted import posted
from tocsin.page.rendering import Renderer
from tocsin.page.routes import Screens, html, person_of
from tocsin.page.screen import Json
from tocsin.page.what_if import LATEST
from tocsin.page.what_if_view import SET, fields_of, view, what_if_chart
from tocsin.replay.comparison import WhatIf

WHAT_IF = "/what-if"
_MOST_FIELDS = 200
_NO_NUMBER = "no number stands there"
_NO_TIME = "0s"


class Asking(Protocol):
    """What runs the replay, one at a time: `page.what_if.WhatIfs`."""

    async def ask(self, said: Sequence[str], gone: Callable[[], Awaitable[Any]] | None = None) -> WhatIf:
        """What would be if this were `said` (`RULE.PATH=VALUE`); TocsinError says why there is no answer. `gone` returns when nobody
        waits for it any more.
        """
        ...


class WhatIfForm:
    """`what_ifs` runs the replay."""

    def __init__(self, screens: Screens, renderer: Renderer, what_ifs: Asking) -> None:
        self._screens, self._renderer, self._what_ifs = screens, renderer, what_ifs

    @property
    def routes(self) -> list[Route]:
        return [Route(WHAT_IF, self.tried, methods=["POST"])]

    async def tried(self, request: Request) -> Response:
        """What would be, or the diff, or what is wrong with what was given."""
        form = await posted(request, _MOST_FIELDS)
        asked = self._screens.asked(request)
        settings, rule = asked.host.rules_seen.settings, form.get("rule", "")
        try:
            settings.rule(rule)
        except UnknownRule as error:
            fields, found = list[Json](), _Result(HTTPStatus.NOT_FOUND, errors=(str(error),))
        else:
            fields = await in_thread(partial(fields_of, settings, rule, form))
            found = await self._result(request, settings, rule, fields, diff=form.get("show") == "diff")
        values = {"id": rule, "fields": fields, **found.shown(asked.style)}
        if "hx-request" in request.headers:  # htmx puts only what went well in its place
            page = await self._renderer.page("rule/tried.html", asked, f"/r/{rule}", **values)
            return html(request, page)
        values |= {"nav": "rules", "person": person_of(request)}
        page = await self._renderer.page("rule/tried_page.html", asked, f"/r/{rule}", **values)
        return html(request, page, found.status)

    async def _result(
        self, request: Request, settings: Settings, rule: str, fields: Sequence[Json], *, diff: bool
    ) -> "_Result":
        source = settings.rule_sources[rule]
        edits = {
            f"{rule}.{each['name'].removeprefix(SET)}={value}": each["called"]
            for each in fields
            if (value := _meant(each)) and value != each["as_it_is"]
        }
        if empty := tuple(
            f"{each['called']}: {_NO_NUMBER}" for each in fields if each["as_it_is"] and not _meant(each)
        ):
            return _Result(HTTPStatus.BAD_REQUEST, errors=empty)
        said = [*edits]
        if not said:
            nothing = "All is as it is: set something to another number, and try again."
            return _Result(HTTPStatus.BAD_REQUEST, errors=(nothing,))
        if wrong := await in_thread(partial(_wrong, source, rule, edits)):
            return _Result(HTTPStatus.BAD_REQUEST, errors=wrong)
        if diff:
            return _Result(diff=(await in_thread(partial(edits_of, {rule: source}, said)))[1])
        begun = trio.current_time()
        try:
            found = await self._what_ifs.ask(said, partial(until_gone, request.receive))
        except TocsinError as error:
            return _Result(HTTPStatus.CONFLICT, errors=(str(error),))
        differs = not await in_thread(source.is_as_written)
        return _Result(found=found, took=trio.current_time() - begun, differs=differs)


class _Result(NamedTuple):
    """What came of it: why nothing did, what would stand in the file, or what would be, and how long it took to find out (seconds);
    `differs`: the file has something else by now than what runs, and that was tried.
    """

    status: HTTPStatus = HTTPStatus.OK
    errors: tuple[str, ...] = ()
    diff: str = ""
    found: WhatIf | None = None
    took: float = 0.0
    differs: bool = False

    def shown(self, style: Style) -> Json:
        """For the template."""
        return {
            "errors": list(self.errors),
            "diff": self.diff,
            "took": self.took,
            "differs": self.differs,
            "latest": LATEST,
            "tried": view(self.found, style) if self.found is not None else None,
            "chart": what_if_chart(self.found) if self.found is not None else "",
        }


def _meant(field: Json) -> str:
    """What stands in it; where a duration is left out, it is none."""
    given: str = field["value"].strip()
    return given or (_NO_TIME if field["kind"] == "duration" and field["as_it_is"] else "")


def _wrong(source: RuleSource, rule: str, edits: Mapping[str, str]) -> tuple[str, ...]:
    """What is wrong with what was given, in words, behind what each field (of `edits`: what is said, and how the form calls it) is called."""
    text = rule_text(source, rule)
    nodes = [text.node] if text is not None else []
    problems = {called: edit_rules(nodes, [said])[2] for said, called in edits.items()}
    return tuple(
        f"{called}: " + "; ".join(filter(None, (each.message, each.hint)))
        for called, found in problems.items()
        for each in found
    )

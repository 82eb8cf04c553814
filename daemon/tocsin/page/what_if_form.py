"""What if a rule's numbers were others: a form of its numbers and durations, tried over what is stored. Nothing is changed.

    POST /what-if    rule=ID, set.PATH=VALUE for each number (`config.settable`), show=diff for what would stand in the file instead

htmx puts the answer below the form; without JavaScript it is a page of its own, after up to half a minute.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.alerts.wording import Style
from tocsin.config.edits import edit_rules
from tocsin.config.rule_sources import RuleSource
from tocsin.config.rule_text import edits_of, rule_text
from tocsin.config.settings import Settings, UnknownRule
from tocsin.errors import TocsinError
from tocsin.page.rendering import Renderer
from tocsin.page.routes import Screens, html, person_of
from tocsin.page.screen import Json
from tocsin.page.what_if_view import SET, fields_of, view, what_if_chart

WHAT_IF = "/what-if"
_MOST_FIELDS = 200

Try: TypeAlias = Callable[[Settings, Sequence[str]], Awaitable[Mapping[str, Any]]]
"""Runs what is stored through the rules with these edits (`RULE.PATH=VALUE`), and gives what `replay.what_if` tells as JSON. TocsinError
says why it can't.
"""


class WhatIfForm:
    """`try_out` runs the replay."""

    def __init__(self, screens: Screens, renderer: Renderer, try_out: Try) -> None:
        self._screens, self._renderer, self._try_out = screens, renderer, try_out

    @property
    def routes(self) -> list[Route]:
        return [Route(WHAT_IF, self.tried, methods=["POST"])]

    async def tried(self, request: Request) -> Response:
        """What would be, or the diff, or what is wrong with what was given."""
        body = (await request.body()).decode(errors="replace")
        form = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
        asked = self._screens.asked(request)
        settings, rule = asked.host.rules_seen.settings, form.get("rule", "")
        try:
            settings.rule(rule)
        except UnknownRule as error:
            fields, found = list[Json](), _Result(HTTPStatus.NOT_FOUND, errors=(str(error),))
        else:
            fields = fields_of(settings, rule, form)
            found = await self._result(settings, rule, fields, diff=form.get("show") == "diff")
        values = {"id": rule, "fields": fields, **found.shown(asked.style)}
        if "hx-request" in request.headers:  # htmx puts only what went well in its place
            page = await self._renderer.page("rule/tried.html", asked, f"/r/{rule}", **values)
            return html(request, page)
        values |= {"nav": "rules", "person": person_of(request)}
        page = await self._renderer.page("rule/tried_page.html", asked, f"/r/{rule}", **values)
        return html(request, page, found.status)

    async def _result(
        self, settings: Settings, rule: str, fields: Sequence[Json], *, diff: bool
    ) -> "_Result":
        source = settings.rule_sources[rule]
        said = [
            f"{rule}.{each['name'].removeprefix(SET)}={value}"
            for each in fields
            if (value := each["value"].strip()) and value != each["as_it_is"]
        ]
        if not said:
            nothing = "All is as it is: set something to another number, and try again."
            return _Result(HTTPStatus.BAD_REQUEST, errors=(nothing,))
        if wrong := _wrong(source, rule, said):
            return _Result(HTTPStatus.BAD_REQUEST, errors=wrong)
        if diff:
            return _Result(diff=edits_of({rule: source}, said)[1])
        begun = trio.current_time()
        try:
            found = await self._try_out(settings, said)
        except TocsinError as error:
            return _Result(HTTPStatus.CONFLICT, errors=(str(error),))
        return _Result(found=found, took=trio.current_time() - begun)


class _Result(NamedTuple):
    """What came of it: why nothing did, what would stand in the file, or what would be, and how long it took to find out (seconds)."""

    status: HTTPStatus = HTTPStatus.OK
    errors: tuple[str, ...] = ()
    diff: str = ""
    found: Mapping[str, Any] | None = None
    took: float = 0.0

    def shown(self, style: Style) -> Json:
        """For the template."""
        return {
            "errors": list(self.errors),
            "diff": self.diff,
            "took": self.took,
            "tried": view(self.found, style) if self.found is not None else None,
            "chart": what_if_chart(self.found) if self.found is not None else "",
        }


def _wrong(source: RuleSource, rule: str, said: Sequence[str]) -> tuple[str, ...]:
    """What is wrong with what was given, in words."""
    text = rule_text(source, rule)
    problems = edit_rules([text.node] if text is not None else [], said)[2]
    return tuple("; ".join(filter(None, (each.message, each.hint))) for each in problems)

"""`type: json`: a venue described in YAML. Of a description it is an adapter like the others: pure, and without memory."""

from collections.abc import Generator, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from tocsin.document import Node
from tocsin.errors import Problem
from tocsin.events import Observation, Observed, SnapshotBegins, SnapshotEnds
from tocsin.venues import web
from tocsin.venues.base import (
    Adapter,
    Decoded,
    Endpoint,
    HttpRequest,
    HttpResponse,
    Malformed,
    Session,
    SignIn,
    SignInFailed,
    SignInRefused,
    Snapshot,
    Unreadable,
    VenueSettings,
)
from tocsin.venues.hosts import Hosts
from tocsin.venues.json.description import Description, Example, Question
from tocsin.venues.json.messages import Notes, Picker
from tocsin.venues.json.reading import read_description
from tocsin.venues.json.recipes import clock
from tocsin.venues.json.requests import Step, refusal_of
from tocsin.venues.json.schema import description_schema
from tocsin.venues.json.settings import MAIN_URL, JsonSettings, settings_for, values
from tocsin.venues.json.templates import Scope, Unfillable
from tocsin.venues.json.unread import unread


class JsonVenue(Adapter):
    """The adapter of one description; without one, of the type itself, which has nothing to say yet."""

    name = "json"
    summary = "any venue that speaks JSON over WebSocket, described in YAML"
    settings: type[VenueSettings] = JsonSettings
    supplies: Mapping[str, frozenset[str]] = {}

    def __init__(self, description: Description | None = None, hosts: Hosts | None = None) -> None:
        self._description = description
        self.description = description
        if description is not None:
            self.summary = description.summary
            self.settings = settings_for(description)
            self.supplies = description.supplies
            self._hosts = hosts or Hosts(description.hosts)
            self.hosts = self._hosts

    def described(self, node: Node) -> "tuple[JsonVenue | None, list[Problem]]":
        """The adapter of a description, or None, and all that is wrong with it."""
        # A config that is read anew has the same venue where its description is the same: it isn't disturbed then.
        written = _written(node.plain())
        if written not in _known:
            description, problems = read_description(node)
            if description is None:
                return None, problems
            while len(_known) >= _MOST_KNOWN:
                del _known[next(iter(_known))]
            _known[written] = JsonVenue(description)
        return _known[written], []

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, JsonVenue)
            and self._description is other._description
            and self.hosts == other.hosts
        )

    def __hash__(self) -> int:
        return id(self._description)

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of descriptions."""
        return description_schema()

    @property
    def _described(self) -> Description:
        if self._description is None:
            raise TypeError("a venue of type json without its description")
        return self._description

    def configured(self, settings: Any) -> "JsonVenue":
        """With what the config itself names besides."""
        hosts = Hosts(self._described.hosts).naming(settings.addresses().values())
        return JsonVenue(self._described, hosts)

    def sign_in(self, settings: Any, kept: Mapping[str, str], now: datetime) -> SignIn:
        """Each step's request, then the values that the sockets' URLs, headers and messages need.

        Refused where one would connect to a host that isn't declared: before anything is sent there.
        """
        del kept
        how = self._described.sign_in
        scope: Scope = self._scope(settings) | clock("now", now)
        taken: dict[str, str] = {}
        try:
            for step in how.steps:
                request, scope = step.request(scope, now, self._hosts)
                response = yield from web.ask(request)
                found = step.take(step.answer(response, "sign-in"), "sign-in")
                taken |= found
                scope = {**scope, **found}
            scope = how.recipes.fill(scope, now)
            made = taken | {name: scope[name] for name, _ in how.recipes.made}
            self._endpoints(settings, made)
        except Unfillable as error:
            raise SignInRefused(f"sign-in: {error}", "see what the venue is given in the config") from None
        plain = frozenset(name for name, value in made.items() if name in how.plain or value.isdecimal())
        renew = now + how.renew_after if how.renew_after is not None else None
        return Session(values=made, renew_at=renew, plain=plain)

    def endpoints(self, settings: Any, session: Session) -> tuple[Endpoint, ...]:
        return self._endpoints(settings, session.values)

    def _endpoints(self, settings: Any, made: Mapping[str, str]) -> tuple[Endpoint, ...]:
        """Raises Unfillable, and SignInRefused for a host that isn't declared; not for what came of a sign-in."""
        scope = self._scope(settings) | dict(made)
        found = tuple(socket.endpoint(scope) for socket in self._described.sockets)
        for socket, endpoint in zip(self._described.sockets, found, strict=True):
            if why := refusal_of(socket.url, endpoint.url, self._hosts):
                raise SignInRefused(why)
        return tuple(_with_settings(endpoint, settings) for endpoint in found)

    def decode(self, message: str, received: datetime) -> Decoded:
        del received
        return self._described.messages.decode(message)

    def unread(self, message: str) -> list[str]:
        """The paths of the parts of a message that the description says nothing of."""
        return unread(self._described.messages, message)

    def examples(self) -> tuple[Example, ...]:
        return self._described.examples

    def snapshot(
        self, settings: Any, session: Session, now: datetime, since: datetime | None
    ) -> Snapshot | None:
        """What the description's requests give. Raises SignInRefused, SignInFailed and Malformed."""
        if not self._described.snapshot:
            return None
        scope = self._scope(settings) | dict(session.values)
        return self._fetch(scope | clock("now", now) | clock("since", since or now), now)

    def _fetch(self, scope: Scope, now: datetime) -> Snapshot:
        whole: list[Observation] = []
        partial: list[Observed] = []
        unreadable: list[Unreadable] = []
        kinds: dict[str, bool] = {}
        for step in self._described.snapshot:
            answer = yield from self._asked(step.step, scope, now, {})
            for picker, complete in step.pickers:
                if picker.thing is None:
                    continue
                told, notes, rows = _picked(picker, answer)
                cut_off = complete and step.limit is not None and rows >= step.limit
                if cut_off:
                    notes.note("rows", f"{rows} of them, as many as are listed at once: there may be more")
                unreadable += notes.unreadable
                if complete:
                    whole += told
                    kinds[picker.thing.kind] = kinds.get(picker.thing.kind, True) and not cut_off
                else:
                    partial += told
        full = tuple(kind for kind, is_full in kinds.items() if is_full)
        # What may be only a part of them is told, and what is missing in it not taken for gone.
        partial += [item for item in whole if item.state.kind not in full]
        within = [item for item in whole if item.state.kind in full]
        bracketed: list[Observed] = [SnapshotBegins(full), *within, SnapshotEnds()] if full else []
        return [*partial, *bracketed, *unreadable]

    def _asked(
        self, step: Step, scope: Scope, now: datetime, said: Scope
    ) -> Generator[HttpRequest, HttpResponse, Any]:
        """What the answer holds; None where it says that there is nothing. `said`: what messages gave for it."""
        try:
            request, _ = step.request(scope, now, self._hosts, said)
        except Unfillable as error:
            raise SignInFailed(str(error)) from None
        response = yield request
        return step.answer(response, request.shown)

    def ask(
        self, settings: Any, session: Session, known: Any, account: str | None, now: datetime
    ) -> Snapshot | None:
        """What became of an order or a position. Raises SignInRefused, SignInFailed and Malformed."""
        questions = self._described.ask.get(known.kind)
        if questions is None:
            return None
        client_id = getattr(known, "client_id", None)
        about = {"id": known.id, "symbol": known.symbol, "client_id": client_id, "account": account}
        said = {name: value for name, value in about.items() if isinstance(value, str) and value}
        scope = self._scope(settings) | dict(session.values) | clock("now", now)
        return self._asked_for(questions, scope, said, now)

    def _asked_for(self, questions: Iterable[Question], scope: Scope, said: Scope, now: datetime) -> Snapshot:
        """One request after the other, until one knows it."""
        found: list[Observed | Unreadable] = []
        for question in questions:
            answer = yield from self._asked(question.step, scope, now, said)
            picked = (
                question.picker.pick(answer, snapshot=True, asked=said.get("id", ""))
                if answer is not None
                else None
            )
            if picked is not None:
                found += (*picked[0], *picked[1].unreadable)
                if any(item.state.id == said.get("id", "") for item in picked[0]):
                    break
        return found

    def _scope(self, settings: Any) -> dict[str, str]:
        main = {MAIN_URL: settings.url} if settings.url else {}
        return self._described.urls | main | values(settings.urls) | values(settings.given)


def _picked(picker: Picker, answer: Any) -> "tuple[list[Observation], Notes, int]":
    """As `Picker.pick`. Malformed where the answer lacks what is picked."""
    name = picker.thing.name if picker.thing is not None else ""
    if answer is None:
        return [], Notes(name), 0
    if (found := picker.pick(answer, snapshot=True)) is None:
        raise Malformed(f"{name}: an answer {picker.missing or 'of another shape'}")
    return found


def _with_settings(endpoint: Endpoint, settings: Any) -> Endpoint:
    return Endpoint(
        name=endpoint.name,
        url=endpoint.url,
        headers={**endpoint.headers, **settings.headers},
        origin=settings.origin,
        opening=endpoint.opening,
        market_data=endpoint.market_data,
        ping=endpoint.ping,
    )


_MOST_KNOWN = 100
_known: dict[bytes, JsonVenue] = {}
"""By what is written in them, the latest descriptions that were right."""
_written = msgspec.json.Encoder(decimal_format="number").encode


ADAPTER = JsonVenue()

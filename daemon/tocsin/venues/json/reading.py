"""A description on its way from nodes to what it says; all that is wrong with it is noted, with its place."""

import re
from collections.abc import Iterable
from datetime import timedelta
from functools import partial

from tocsin.document import Node
from tocsin.errors import Problem
from tocsin.events.vocabulary import with_article
from tocsin.quantities import parse_duration
from tocsin.venues import derive
from tocsin.venues.hosts import Hosts, is_declarable
from tocsin.venues.json import structure
from tocsin.venues.json.cursor import Cursor, Faults
from tocsin.venues.json.description import (
    Description,
    Example,
    Given,
    Question,
    SignInSteps,
    SnapshotStep,
    Socket,
)
from tocsin.venues.json.fields import Defaults
from tocsin.venues.json.messages import Messages, Picker
from tocsin.venues.json.recipes import clock_names, read_recipes
from tocsin.venues.json.requests import Step, read_headers
from tocsin.venues.json.settings import is_option
from tocsin.venues.json.templates import Names, Template, read_sent, read_template, structure_names
from tocsin.venues.json.things import Thing

_MISSING = frozenset({""})
_ASKED = ("id", "symbol", "account", "client_id")
"""What a question may name of the order that it is about."""
_TICKERS = {"trade": derive.TICKER_FROM_TRADES, "book": derive.TICKER_FROM_BOOK}
_LEAST_PING = 1.0  # seconds
_LEAST_RENEWAL = timedelta(minutes=1)
_NAMES = "small letters, digits and _, from a letter on; not model_…, nor json, copy and the like"
_UNKNOWN = "\0"  # stands for what is known only later
_WORDS = re.compile(r"\w(?:[ \w.:/@-]{0,58}\w)?", re.ASCII)
_NO_WORDS = "must be words", "letters, digits, _, and blanks and . : / @ - within"
_HEAD = re.compile(r"[^:]*://[^/?#]*")
# What stands behind it can't be part of the host, whatever is put in before.
_BEHIND_HOST = re.compile(rf"[?#]|://[^/?#]*/|{_UNKNOWN}/[^/?#{_UNKNOWN}]+/")


def read_description(root: Node) -> tuple[Description | None, list[Problem]]:
    """The description, or None, and all that is wrong with it, each with its place."""
    faults = Faults()
    node = structure.checked(root, faults)
    found = _Reading(Cursor(node, faults)).description() if node is not None else None
    once = list(dict.fromkeys(faults.problems))
    return (None if once else found), once


class _Reading:
    """One description on its way from nodes to functions."""

    def __init__(self, root: Cursor) -> None:
        self._root = root
        self._told: set[str] = set()
        self._hosts = self._read_hosts()
        self._urls = self._read_urls()

    def description(self) -> Description:
        root = self._root
        given = self._read_given()
        names = Names(
            frozenset({*given, *self._urls}), frozenset(name for name, how in given.items() if how.secret)
        )
        sign_in, names, guarded = self._read_sign_in(names)
        sockets = tuple(self._read_socket(each, names, guarded) for each in root.entries_at("sockets"))
        maps = {entry.key.text: entry for entry in root.entries_at("maps") if entry.key}
        none = frozenset(item.text for item in root.items_at("missing")) if root.has("missing") else _MISSING
        defaults = Defaults(root.text_at("times"), none, maps)
        things = {thing.name: thing for thing in (Thing(at, defaults) for at in root.entries_at("things"))}
        streams = frozenset(each.name for each in sockets).union(
            *((name for name, *_ in each.opening) for each in sockets)
        )
        messages = Messages(root, things, streams)
        return Description(
            summary=root.text_at("summary"),
            sources=tuple(item.text for item in root.items_at("sources")),
            tried=root.text_at("tried"),
            hosts=self._hosts,
            given=given,
            urls=self._urls,
            sign_in=sign_in,
            sockets=sockets,
            messages=messages,
            supplies=_supplies(things.values()),
            snapshot=self._read_snapshot(names, guarded, things),
            ask=self._read_ask(names, guarded, things),
            examples=tuple(map(_example, root.items_at("examples"))),
        )

    # -------------------------------------------------------------------------------------------- hosts and addresses

    def _read_hosts(self) -> tuple[str, ...]:
        hosts = self._root.get("hosts")
        found = []
        for item in hosts.items() if hosts is not None else ():
            if is_declarable(item.text):
                found.append(item.text)
            else:
                hint = "a name as in example.com, lower case; only the config itself can name addresses"
                item.refuse("not a host that a description may declare", hint)
        if hosts is not None and not hosts.items():
            hosts.refuse("name at least one host")
        return tuple(found)

    def _read_urls(self) -> dict[str, str]:
        found = {}
        for entry in self._root.entries_at("urls"):
            if entry.key is not None:
                found[entry.key.text] = entry.text
                _check_name(entry)
                self._check_host(entry, entry.text)
        return found

    def _check_host(self, at: Cursor, url: str) -> None:
        why = Hosts(self._hosts).refusal(url)
        # Of a host once; and of hosts that are all missing only that.
        if why and why not in self._told and self._hosts:
            self._told.add(why)
            at.refuse(
                why, "hosts: [example.com] at the top, with the venue's own; and wss:// or https:// here"
            )

    def _check_url(self, guarded: frozenset[str], at: Cursor, url: Template) -> None:
        """The host, where nothing that is given or taken is part of it; else it is looked at before it is connected to.

        `guarded`: the names of what is made of a secret, which may be no part of it.
        """
        known = ""
        for count, piece in enumerate(url.pieces):
            if count % 2 and piece in guarded and _BEHIND_HOST.search(known) is None:
                at.refuse(
                    "a secret before the path of a URL: hosts are told to name servers, and shown",
                    "in a header, the query or what is signed",
                )
                return
            known += piece if count % 2 == 0 else self._urls.get(piece, _UNKNOWN)
        match = _HEAD.match(known)
        if _UNKNOWN not in (match[0] if match else known):
            self._check_host(at, known.replace(_UNKNOWN, "x"))

    def _step(self, at: Cursor, names: Names, guarded: frozenset[str]) -> Step:
        return Step(at, names, partial(self._check_url, _made_of(at.get("let"), guarded)))

    # ------------------------------------------------------------------------------------- what is asked for and said

    def _read_given(self) -> dict[str, Given]:
        found = {}
        for entry in self._root.entries_at("given"):
            if entry.key is None:
                continue
            _check_name(entry)
            if entry.key.text in self._urls:
                entry.refuse_key(f"`{entry.key.text}` is one of `urls:` already")
            default, is_secret = entry.get("default"), entry.isnt_false("secret")
            if default is not None and is_secret:
                default.refuse("a secret has no default", "secret: false beside it, if it is none")
            found[entry.key.text] = Given(
                is_secret, default.text if default is not None else None, entry.text_at("about")
            )
        return found

    def _read_sign_in(self, names: Names) -> tuple[SignInSteps, Names, frozenset[str]]:
        """And, of the names that are known after it, those of what is made of a secret that is given."""
        at = self._root.get("sign_in")
        steps = []
        guarded = names.secret
        before = names.known
        now = names.also(*clock_names("now"))
        for each in at.items_at("steps") if at is not None else ():
            step = self._step(each, now, guarded)
            steps.append(step)
            now = now.also(*step.taken, secret=True)
            guarded = _made_of(each.get("let"), guarded)  # what a step puts together, the later ones have
        recipes, after = read_recipes(at.get("let") if at is not None else None, now)
        renew = at.get("renew_after") if at is not None else None
        after_so_long = parse_duration(renew.text) if renew is not None and renew.text else None
        if renew is not None and after_so_long is not None and after_so_long < _LEAST_RENEWAL:
            renew.refuse("at most once a minute")
        gives = after.known - before - frozenset(clock_names("now"))
        names = Names(before | gives, after.secret)
        found = SignInSteps(
            tuple(steps),
            recipes,
            after_so_long,
            gives - after.secret,
        )
        return found, names, _made_of(at.get("let") if at is not None else None, guarded)

    def _read_socket(self, at: Cursor, names: Names, guarded: frozenset[str]) -> Socket:
        url = at.get("url")
        template = read_template(url, names) if url is not None else Template(("",))
        if url is not None:
            self._check_url(guarded, url, template)
        ping = at.get("ping")
        send, every = (ping.get("send"), ping.get("every")) if ping is not None else (None, None)
        seconds = parse_duration(every.text).total_seconds() if every is not None else 0.0
        if every is not None and seconds < _LEAST_PING:
            every.refuse("at most once a second")
        requests = []
        if at.key is not None and not _WORDS.fullmatch(at.key.text):
            at.refuse_key(*_NO_WORDS)
        for each in at.items_at("open"):
            if (called := each.get("name")) is not None and not _WORDS.fullmatch(called.text):
                called.refuse(*_NO_WORDS)
            if (sent := each.get("send")) is not None:
                flags = each.isnt_false("answered"), each.flag("required"), each.flag("market_data")
                requests.append((each.text_at("name"), read_sent(sent, names), *flags))
        return Socket(
            name=at.key.text if at.key is not None else "",
            url=template,
            headers=read_headers(at.get("headers"), names),
            ping=(read_sent(send, names), seconds) if send is not None else None,
            opening=tuple(requests),
            market_data=at.flag("market_data"),
        )

    # ------------------------------------------------------------------------------------------------ after a connect

    def _read_snapshot(
        self, names: Names, guarded: frozenset[str], things: dict[str, Thing]
    ) -> tuple[SnapshotStep, ...]:
        names = names.also(*clock_names("now"), *clock_names("since"))
        return tuple(
            self._read_snapshot_step(each, names, guarded, things) for each in self._root.items_at("snapshot")
        )

    def _read_snapshot_step(
        self, at: Cursor, names: Names, guarded: frozenset[str], things: dict[str, Thing]
    ) -> SnapshotStep:
        pickers = tuple(
            (Picker(rule, things), rule.isnt_false("complete")) for rule in at.items_at("messages")
        )
        most, limit = at.text_at("limit"), at.get("limit")
        if limit is not None and not (most.isdecimal() and int(most)):
            limit.refuse("must be a whole number above 0")
            most = ""
        return SnapshotStep(self._step(at, names, guarded), pickers, int(most) if most else None)

    def _read_ask(
        self, names: Names, guarded: frozenset[str], things: dict[str, Thing]
    ) -> dict[str, tuple[Question, ...]]:
        names = names.also(*clock_names("now"), *_ASKED)
        found = {}
        for kind in self._root.entries_at("ask"):
            asked = kind.key.text if kind.key is not None else ""
            found[asked] = tuple(
                self._read_question(each, asked, names, guarded, things) for each in kind.items()
            )
        return found

    def _read_question(
        self, at: Cursor, kind: str, names: Names, guarded: frozenset[str], things: dict[str, Thing]
    ) -> Question:
        picker = Picker(at, things)
        if picker.thing is not None and picker.thing.kind and picker.thing.kind != kind:
            at.refuse(
                f"`{picker.thing.name}` is of kind {picker.thing.kind}, and {with_article(kind)} is asked for"
            )
        return Question(self._step(at, names, guarded), picker)


def _made_of(let: Cursor | None, guarded: frozenset[str]) -> frozenset[str]:
    """These names, and those of what a `let:` makes of them; a name stays, whatever else is called so later."""
    for entry in let.entries() if let is not None else ():
        if entry.key is not None and structure_names(entry.node) & guarded:
            guarded |= {entry.key.text}
    return guarded


def _check_name(entry: Cursor) -> None:
    name = entry.key.text if entry.key is not None else ""
    if not is_option(name):
        entry.refuse_key(f"`{name:.60}` is no name that the config can have", _NAMES)


def _supplies(things: Iterable[Thing]) -> dict[str, frozenset[str]]:
    """Kind -> fields, with what the daemon keeps as tickers of trades and books."""
    found: dict[str, frozenset[str]] = {}
    for thing in things:
        if thing.kind:
            found[thing.kind] = found.get(thing.kind, frozenset()) | thing.supplies
        if (ticker := _TICKERS.get(thing.kind)) is not None:
            found["ticker"] = found.get("ticker", frozenset()) | ticker
    return found


def _example(at: Cursor) -> Example:
    message, gives = at.get("message"), at.get("gives")
    return Example(
        at.text_at("about"), message.node if message else at.node, gives.node if gives else at.node
    )

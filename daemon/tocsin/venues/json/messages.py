"""What a described venue's messages mean: acknowledgements, refusals and pongs told apart from pushes, each push taken apart."""

from collections.abc import Mapping
from typing import Any, Literal, cast

from msgspec import UNSET

from tocsin.events import Observation, Observed, SnapshotBegins, SnapshotEnds, shown
from tocsin.events.vocabulary import did_you_mean
from tocsin.venues.base import (
    Accepted,
    Control,
    Decoded,
    Item,
    Malformed,
    Refused,
    Reply,
    Unreadable,
    Unrecognized,
)
from tocsin.venues.json.conditions import Index, Test, plain, read_condition
from tocsin.venues.json.cursor import Cursor
from tocsin.venues.json.paths import Path, read_path
from tocsin.venues.json.templates import Composed, read_composed
from tocsin.venues.json.things import Thing
from tocsin.venues.lenient import Part
from tocsin.venues.wire import Note, Reader, cut

read_json = Reader(Any)

_BLANKS = 4  # around a text that is a whole message
_LONGEST_REPLY = 4096  # bytes; how much we send is not for the venue to choose
_LONGEST_NAME = 256  # characters
_LONGEST_REASON = 2000
_MOST_PARTS = 50_000  # of one message, by all rules
_MEANINGS = ("accepts", "refuses", "reply", "is")


class Notes(Part):
    """What can't be read in the parts of one message; of each field once, however many rows have it so."""

    __slots__ = ()

    def note(self, field: str, reason: str, row: bool = False) -> None:
        part = f"{self.of}.{field}"
        if not any(each.part == part and each.row == row for each in self.unreadable):
            super().note(field, reason, row)


def _silent(field: str, reason: str, row: bool) -> None:
    """A number out of all range is told where it is read."""


_SILENT: Note = _silent


def read_whole(text: str | bytes) -> Any:
    """A message. Raises Malformed for what is no JSON, or neither an object nor a list."""
    whole: Any = read_json(text, _SILENT)
    if not isinstance(whole, dict | list):
        raise Malformed(f"neither an object nor a list: {shown(whole)}")
    return whole


class Picker:
    """`each` part of a message gives a thing."""

    def __init__(self, at: Cursor, things: Mapping[str, Thing]) -> None:
        """What is wrong in the description is noted."""
        each = at.get("each")
        self._each: Path | None = read_path(each) if each is not None else None
        self._only: Test | None = read_condition(at.get("only"))
        self.thing = _read_gives(at, things)
        self._where = each.text[:60] if each is not None else "message"
        self.missing = f"without `{self._where}`" if each is not None else ""

    def pick(
        self, whole: Any, *, snapshot: bool, asked: str | None = None
    ) -> "tuple[list[Observation], Notes, int] | None":
        """The observations, what couldn't be read, and how many parts there were; None without any such place.

        `asked`: the id of the thing that was asked for, in an answer that may leave it out. Raises Malformed for too many parts.
        """
        found = whole if self._each is None else self._each(whole)
        if found is UNSET or found is None or self.thing is None:
            return None
        parts = found if found.__class__ is list else (found,)
        _check_count(len(parts))
        notes = Notes(self.thing.name)
        observe, only = self.thing.observe, self._only
        told = []
        for part in parts:
            if only is None or only(part, whole):
                try:
                    told.append(observe(part, whole, notes, snapshot=snapshot, asked=asked))
                except Malformed as malformed:
                    notes.note(self._where, str(malformed), True)
        return told, notes, len(parts)


def _check_count(parts: int) -> None:
    if parts > _MOST_PARTS:
        raise Malformed(f"more than {_MOST_PARTS:,} parts")


def _read_gives(at: Cursor, things: Mapping[str, Thing]) -> Thing | None:
    gives = at.get("gives")
    if gives is None:
        return None
    if (found := things.get(gives.text)) is None:
        names = sorted(things)
        hint = did_you_mean(gives.text, names, f"things: {', '.join(names) or 'none'}")
        gives.refuse(f"no thing is called `{gives.text:.60}`", hint)
    return found


class Rule:
    """`when` a message is so, its parts give something."""

    def __init__(self, at: Cursor, things: Mapping[str, Thing], streams: frozenset[str]) -> None:
        self.picker = Picker(at, things)
        snapshot = at.get("snapshot")
        self._always = at.flag("snapshot")
        self._snapshot = read_condition(snapshot) if snapshot is not None and snapshot.is_mapping else None
        self._whole = at.flag("whole")
        if self._whole and not (self._always or self._snapshot):
            at.refuse(
                "`whole` says that a snapshot is a full picture",
                "say when it is one: snapshot: {type: snapshot}",
            )
        stream = at.get("stream")
        self.stream = stream.text if stream is not None else None
        if stream is not None:
            _check_name(stream, stream.text, streams)

    def items(self, whole: Any) -> tuple[list[Observed], Notes, int] | None:
        """As `Picker.pick`, with a full picture's beginning and end. None where the message has no such part at all."""
        snapshot = self._always or (self._snapshot is not None and self._snapshot(whole, whole))
        if (picked := self.picker.pick(whole, snapshot=snapshot)) is None:
            return None
        told, notes, parts = picked
        if snapshot and self._whole and self.picker.thing is not None:
            return [SnapshotBegins((self.picker.thing.kind,)), *told, SnapshotEnds()], notes, parts
        return [*told], notes, parts


def _check_name(at: Cursor, name: str, streams: frozenset[str]) -> None:
    if name not in streams:
        hint = did_you_mean(name, sorted(streams), f"there are {', '.join(sorted(streams)) or 'none'}")
        at.refuse(f"no request or socket is called `{name:.60}`", hint)


class Answer:
    """A message that is no push: an acknowledgement, a refusal, a pong, something that wants an answer."""

    def __init__(self, at: Cursor, streams: frozenset[str]) -> None:
        said = [key for key in _MEANINGS if at.has(key)]
        if len(said) != 1:
            at.refuse_whole(f"must have one of {', '.join(_MEANINGS)}")
        if at.has("when") == at.has("text"):
            at.refuse_whole("must have either `when` or `text`")
        self._means = said[0] if said else "is"
        self._name = _composed(at, self._means) if self._means != "is" else Composed(("",))
        self._reason = _composed(at, "reason")
        self._verdict = cast("Literal['refused', 'auth_failed', 'retry']", at.text_at("verdict", "refused"))
        self._private = at.flag("private")
        name = at.get(self._means)
        if self._means in ("accepts", "refuses") and self._name.fixed and name is not None:
            _check_name(name, self._name.fixed, streams)
        for entry in at.entries():
            if entry.key is not None and entry.key.text in ("reason", "verdict") and self._means != "refuses":
                entry.refuse_key(f"`{entry.key.text}` is for what `refuses`")

    def item(self, whole: Any) -> Item:
        """Raises Malformed for a reply that would be too long."""
        match self._means:
            case "accepts":
                return Accepted(self._name.say(whole, whole, _LONGEST_NAME))
            case "refuses":
                reason = cut(self._reason.say(whole, whole, _LONGEST_REASON)) or "refused"
                return Refused(self._name.say(whole, whole, _LONGEST_NAME), reason, self._verdict)
            case "reply":
                text = self._name.say(whole, whole, _LONGEST_REPLY + 1)
                if len(text.encode()) > _LONGEST_REPLY:
                    raise Malformed("it wants an answer that is too long")
                return Reply(text)
        return Control(private=self._private)


def _composed(at: Cursor, key: str) -> Composed:
    found = at.get(key)
    return read_composed(found) if found is not None else Composed(("",))


class Messages:
    """All of a description's `answers` and `messages`. Pure and without memory."""

    def __init__(self, at: Cursor, things: Mapping[str, Thing], streams: frozenset[str]) -> None:
        read = [(entry, Answer(entry, streams)) for entry in at.items_at("answers")]
        self._texts = {entry.text_at("text"): answer for entry, answer in read if entry.has("text")}
        self._longest_text = max(map(len, self._texts), default=-1) + _BLANKS
        self._answers = Index((entry.get("when"), answer) for entry, answer in read if entry.has("when"))
        self._rules = Index(
            (entry.get("when"), Rule(entry, things, streams)) for entry in at.items_at("messages")
        )
        called = at.get("called")
        self._called = read_path(called) if called is not None else None
        self._calls = called.text if called is not None else ""

    def decode(self, text: str) -> Decoded:
        """What one message means. Raises Malformed."""
        if len(text) <= self._longest_text and (answer := self._texts.get(text.strip())) is not None:
            return Decoded((answer.item({}),))
        return self.meaning(read_whole(text))

    def meaning(self, whole: Any) -> Decoded:
        """What one message means that was read already. Raises Malformed."""
        if answers := self._answers.matching(whole):
            return Decoded((answers[0].item(whole),))
        items: list[Item] = []
        unreadable: tuple[Unreadable, ...] = ()
        stream, lacking = None, ""
        understood, parts = False, 0
        for rule in self._rules.matching(whole):
            if (found := rule.items(whole)) is None:
                lacking = lacking or rule.picker.missing
                continue
            understood, stream = True, rule.stream or stream
            parts += found[2]
            _check_count(parts)
            items += found[0]
            unreadable += found[1].unreadable
        if not understood:
            return Decoded((Unrecognized(f"{self._name(whole)} {lacking}".strip()),))
        if not items and any(each.row for each in unreadable):
            raise Malformed(f"{unreadable[0].part}: {unreadable[0].reason}")
        return Decoded((*items, *unreadable) or (Control(),), stream)

    def _name(self, whole: Any) -> str:
        name = plain(self._called(whole)) if self._called is not None else None
        return cut(f"{self._calls} {name}") if name else "a message that the description knows nothing of"

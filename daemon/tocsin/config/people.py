"""The section `people`, and the channels that some of them may answer: who they are to a service that can tell people apart."""

from collections.abc import Collection
from collections.abc import Mapping as Map

from tocsin.actions.model import ActionSettings
from tocsin.config import shape
from tocsin.config.channels import UNKNOWN
from tocsin.config.reading import Reading
from tocsin.config.settings import Person
from tocsin.delivery.model import ChannelSettings
from tocsin.delivery.senders import abilities
from tocsin.document import Entry, Mapping, Node, Scalar, items, listed
from tocsin.errors import Place, Problem
from tocsin.events.vocabulary import did_you_mean
from tocsin.secrets import Secret

_LONGEST_NAME = 64
FIND_ID = (
    "write to your bot: where somebody may answer already, the running daemon logs the number that writes (`user`); "
    "else see `tocsin help telegram`"
)
"""How somebody's number at Telegram is found."""


def check_people(reading: Reading, people: Node) -> None:
    """That all are called as somebody can be."""
    for entry in people if isinstance(people, Mapping) else ():
        _check_name(reading, entry)


def _check_name(reading: Reading, entry: Entry) -> None:
    name = entry.key.text
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        hint = f"what messages call somebody by, on one line, at most {_LONGEST_NAME} characters"
        reading.add(Problem("not a person's name", entry.key.place, "people", hint))


def check_answers(
    reading: Reading, root: Mapping, channels: Map[str, ChannelSettings], people: Map[str, Person]
) -> None:
    """That those who may answer are people whom the channel's service can tell apart. `people` are those that are right."""
    section, written = root.get("channels"), root.get("people")
    if not isinstance(section, Mapping):
        return
    named = list(written.entries) if isinstance(written, Mapping) else []
    for name, channel in channels.items():
        node = section.entries[name].value
        if not isinstance(node, Mapping) or not channel.answers:
            continue
        answers = node.entries["answers"].value
        path = shape.dotted(("channels", name, "answers"))
        for item in listed(answers):
            if isinstance(item, Scalar):
                _check_person(reading, item, named, people, path)
        if not any(map(_can_be_answered, channel.urls)) and not _has_unresolved(reading, node):
            what = "only Telegram's bots (tgram://TOKEN/CHAT) can be answered"
            hint = "leave answers away, or see `tocsin help telegram` for a bot"
            reading.add(Problem(what, _shown(answers, node), path, hint))


def check_confirms(
    reading: Reading,
    root: Mapping,
    actions: Map[str, ActionSettings],
    channels: Map[str, ChannelSettings],
    named: Collection[str],
) -> None:
    """That an action asks on a channel where somebody may answer. `named`: all channels' names, also of those that are wrong."""
    section = root.get("actions")
    for name, action in actions.items():
        node = section.get(name) if isinstance(section, Mapping) else None
        if action.confirm is None or not isinstance(node, Mapping):
            continue
        confirm = node.entries["confirm"].value
        item = confirm.entries["on"].value if isinstance(confirm, Mapping) else confirm
        path, on = shape.dotted(("actions", name, "confirm")), action.confirm.on
        if on not in named:
            there = f"there are {', '.join(named)}" if named else "there are none"
            reading.add(
                Problem(
                    f"no channel is called `{on:.80}`", item.place, path, did_you_mean(on, [*named], there)
                )
            )
        elif on in channels and not channels[on].answers:
            hint = "give it the names of people: answers: [anna]; only Telegram's bots can be answered"
            reading.add(Problem(f"nobody may answer on {on}", item.place, path, hint))


def _check_person(
    reading: Reading, item: Scalar, named: list[str], people: Map[str, Person], path: str
) -> None:
    person = item.text
    if person not in named:
        there = f"there are {', '.join(named)}" if named else ""
        hint = did_you_mean(
            person, named, f"write people: {{{person:.80}: {{telegram: 12345678}}}}; {there}".rstrip("; ")
        )
        reading.add(Problem(f"nobody in `people` is called `{person:.80}`", item.place, path, hint))
    elif person in people and people[person].telegram is None:
        what = f"people.{person} has no telegram id, so nothing {person} presses counts"
        reading.add(Problem(what, item.place, path, FIND_ID))


def _can_be_answered(url: Secret) -> bool:
    return url.reveal() == UNKNOWN or "buttons" in abilities(url)


def _shown(answers: Node, node: Mapping) -> Place:
    """The list where it stands on one line, else its key."""
    return answers.place if answers.place.length > 1 else node.entries["answers"].key.place


def _has_unresolved(reading: Reading, node: Mapping) -> bool:
    return any(reading.is_unresolved(each) for each in items(node.get("urls")) if isinstance(each, Scalar))

"""What a rule's keys say beside its conditions: whether they fit its sort, and whether what they name exists."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from tocsin import document
from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.report import Report, did_you_mean
from tocsin.engine.language.scope import Scope, Watch, scope
from tocsin.engine.written import WrittenRule
from tocsin.events.vocabulary import fields


class TemplateFlaw(NamedTuple):
    """One thing wrong with a template; `offset` and `length` are of what the caret stands under, in its text."""

    offset: int
    length: int
    message: str
    hint: str = ""


class Usable(NamedTuple):
    """What a template may use: names, and the fields of each of `members`."""

    names: frozenset[str]
    members: frozenset[str]


CheckTemplate = Callable[[str, Usable], Sequence[TemplateFlaw]]
"""Given a template and what it may use: all that is wrong with it."""

TEMPLATE_NAMES = frozenset({
    "rule", "severity", "state", "event", "value", "value_at_start", "worst", "duration", "late", "as_of", "members",
})  # fmt: skip
"""What a template may use beside the fields of what the rule watches."""

_STATE_ONLY = ("until", "for", "keep_firing_for", "on_gap")
_SEQUENCE = "watch an event of it, such as {0}.*, to tell what follows what"
# And what to do instead, where what is so is watched.
_EVENT_ONLY = {
    "cooldown": "what is so is told once: `keep_firing_for` makes one alert of a flutter, `for` waits before it tells, `repeat` reminds",
    "if_unknown": "here what is unknown neither starts nor ends anything; ask for it with missing(…), or put default(…, …) in its place",
    "then": _SEQUENCE,
    "unless": _SEQUENCE,
}
_NOT_WITH_EDGE = ("for", "until", "keep_firing_for", "repeat")
_SHORTEST_REPEAT = 1.0  # seconds


def misplaced(
    node: document.Mapping, watch: Watch, conditions: Mapping[str, TreeCondition], report: Report
) -> None:
    """Keys that mean nothing in a rule of this sort are refused: whoever wrote them expects something of them."""
    report.under("")
    if watch.events:
        for key in _given(node, _STATE_ONLY):
            report.error(f"`{key.text}` is for state rules; this one watches an event", key.place,
                         f"watch `{watch.kinds[0]}` (without a dot) to look at what is so")  # fmt: skip
        if "then" in node.entries and "unless" in node.entries:
            report.error("`then` and `unless` can't stand in one rule", node.entries["unless"].key.place,
                         "make a rule for each")  # fmt: skip
        return
    for key in _given(node, tuple(_EVENT_ONLY)):
        report.error(f"`{key.text}` is for event rules; this one watches what is so", key.place,
                     _EVENT_ONLY[key.text].format(watch.kinds[0]))  # fmt: skip
    if "when" not in node.entries:
        report.error(f"a rule that watches `{watch.kinds[0]}` needs a `when`", document.find(node, ("watch",)).place,
                     f"or watch what happens to it: {watch.kinds[0]}.*")  # fmt: skip
    elif "when" in conditions and conditions["when"].edge:
        for key in _given(node, _NOT_WITH_EDGE):
            report.error(f"`{key.text}` makes no sense here: `when` is true for a moment only", key.place,
                         "crosses_above, crosses_below and changed are told each time they are true")  # fmt: skip
    if watch.kinds == ("venue",):
        for key in _given(node, ("on_gap",)):
            report.warning("`on_gap` has no effect on a rule that watches `venue`", key.place)


def notified(node: document.Mapping, said: WrittenRule, channels: frozenset[str], report: Report) -> None:
    """`notify` names channels of the config."""
    if said.notify is None:
        return
    written = node.entries["notify"].value
    report.under("notify")
    for item in written if isinstance(written, document.Sequence) else [written]:
        if isinstance(item, document.Scalar) and item.text not in channels:
            known = tuple(sorted(channels))
            there = f"there are {', '.join(known)}" if known else "the config has no `channels`"
            report.error(
                f"no channel is called `{item.text:.80}`", item.place, did_you_mean(item.text, known, there)
            )
    if not said.notify:
        report.warning("an empty list: nobody is told", written.place)


def templated(
    node: document.Mapping,
    said: WrittenRule,
    usable: Usable,
    wrong_with: CheckTemplate,
    report: Report,
) -> None:
    """`title` and `message` are templates over what the rule watches."""
    for key, template in (("title", said.title), ("message", said.message)):
        written = node.get(key)
        if template is None or not isinstance(written, document.Scalar):
            continue
        for flaw in wrong_with(template, usable):
            place = written.within(flaw.offset, flaw.length)
            unplaced = place is written.place and "\n" in template.strip()
            line = template.count("\n", 0, flaw.offset) + 1
            report.under(key).error(f"line {line} of the text: {flaw.message}" if unplaced else flaw.message, place, flaw.hint)  # fmt: skip


@cache
def usable(kinds: tuple[str, ...], per: tuple[str, ...] | None = None) -> Usable:
    """What templates of a rule on these kinds may use; on groups by `per`: what their entities have in common."""
    members = frozenset(name for kind in kinds for name in fields(kind))
    names = frozenset(name for name in scope(kinds, event_rule=True).names if "." not in name)
    if per is not None:
        names = frozenset({*per, "venue", "kind", *({"currency"} & names)})
    return Usable(TEMPLATE_NAMES | names, members)


def valued(node: document.Mapping, said: WrittenRule, readable: Scope, report: Report) -> None:
    """`value` is a number of what the rule watches."""
    if said.value is None:
        return
    report.under("value")
    place = node.entries["value"].value.place
    known = readable.fields.get(said.value)
    if known is None:
        message, hint = readable.unknown(said.value)
        report.error(message, place, hint)
    elif known.type != "number":
        report.error(f"`{said.value}` is no number", place)


def valued_of_group(
    node: document.Mapping, said: WrittenRule, numbers: Collection[str], report: Report
) -> None:
    """`value` is one of the group's numbers that the conditions speak of."""
    if said.value is not None and said.value not in numbers:
        known = tuple(numbers)
        report.under("value").error(f"`{said.value:.80}` is no number of the group that the rule speaks of",
                                    node.entries["value"].value.place,
                                    f"there are {', '.join(known)}" if known else "")  # fmt: skip


def repeated(node: document.Mapping, said: WrittenRule, report: Report) -> None:
    if said.repeat is not None and said.repeat.total_seconds() < _SHORTEST_REPEAT:
        report.under("repeat").error(
            "a reminder more often than each second", node.entries["repeat"].value.place
        )


def _given(node: document.Mapping, keys: tuple[str, ...]) -> list[document.Scalar]:
    return [node.entries[key].key for key in keys if key in node.entries]

"""A rule as a user writes it: its keys and their shapes, the JSON Schema that editors are given, and whether its keys fit its sort.

What its conditions say, and what all of it means together, is checked in `compile.py`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from tocsin import document
from tocsin.calendars import CALENDAR_SCHEMA
from tocsin.engine.api import SEVERITIES, Severity
from tocsin.engine.language import sequence
from tocsin.engine.language.condition import TreeCondition
from tocsin.engine.language.mapping import DEFINITIONS, watched
from tocsin.engine.language.scope import GROUPING, Scope, Watch, scope
from tocsin.engine.rule import Inhibitor
from tocsin.errors import Report
from tocsin.events.links import LINKS
from tocsin.events.vocabulary import did_you_mean, fields
from tocsin.quantities import Duration

CONDITIONS = ("where", "when", "until")
SEQUENCES = ("then", "unless")
HOURS = ("active", "notify_during")
_WITH_PLACES = frozenset((*CONDITIONS, *SEQUENCES, *HOURS))
"""What is read further with the places of its parts."""
LATER = ("run",)
"""Keys that the language knows and this version doesn't."""
_ID = r"^[^\s\"'=,]{1,100}$"


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, (list, tuple)):
        raise ValueError("must be a text or a list of texts")
    return tuple(value)


def _names_schema(**item: Any) -> WithJsonSchema:
    text = {"type": "string", **item}
    return WithJsonSchema({"anyOf": [text, {"type": "array", "items": text}]})


Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_names), _names_schema()]
Watched: TypeAlias = Annotated[
    tuple[str, ...], Field(min_length=1), BeforeValidator(_names), _names_schema(**watched())
]
Grouping: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    WithJsonSchema({"type": "array", "items": {"enum": list(GROUPING)}}),
]
Condition: TypeAlias = Annotated[Any, WithJsonSchema({})]


def _inhibitor(value: Any) -> Inhibitor:
    if isinstance(value, str):
        return Inhibitor(value)
    if not isinstance(value, dict) or not isinstance(value.get("rule"), str):
        raise ValueError("must be a rule's id, or {rule: ID, same: [id]}")
    if unknown := value.keys() - {"rule", "same"}:
        raise ValueError(f"unknown key `{min(unknown):.80}`; write {{rule: ID, same: [id]}}")
    if value.get("same", ["id"]) not in (["id"], "id"):
        raise ValueError("`same` can be [id] only: the same entity; without it the same venue is meant")
    return Inhibitor(value["rule"], same="same" in value)


def _inhibitors(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        value = [value]
    return tuple(map(_inhibitor, value))


_INHIBITOR = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"rule": {"type": "string"}, "same": {"type": "array", "items": {"enum": ["id"]}}},
            "required": ["rule"],
            "additionalProperties": False,
        },
    ]
}
Inhibitors: TypeAlias = Annotated[
    tuple[Inhibitor, ...],
    PlainValidator(_inhibitors),
    WithJsonSchema({"anyOf": [*_INHIBITOR["anyOf"], {"type": "array", "items": _INHIBITOR}]}),
]


class EscalationConfig(BaseModel):
    """One step of an escalation."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, title="Escalation step")

    after: Duration = Field(
        description="so long after somebody was told first, and nobody has acknowledged", examples=["10m"]
    )
    notify: Names = Field(description="the channels to tell", examples=[["boss"]])
    repeat: Duration | None = Field(None, description="and again so often", examples=["15m"])


class RuleConfig(BaseModel):
    """One rule: watch something, when something is so, notify someone."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, title="Rule")

    id: str = Field(
        pattern=_ID,
        description="its identity: alerts and their state hang on it",
        examples=["position-in-the-red"],
    )
    watch: Watched = Field(
        description="what it looks at: `position` (something is so) or `order.canceled` (something happened); "
        "several events as a list",
        examples=["position", ["order.filled", "order.canceled"]],
    )
    where: Condition = Field(
        None, description="which events or entities take part at all", examples=['symbol != "TEST"']
    )
    when: Condition = Field(
        None, description="the condition that it tells of", examples=[{"profit": {"below": -50}}]
    )
    until: Condition = Field(
        None,
        description="state rules: the condition that ends it; else `when` no longer true",
        examples=[{"profit": {"above": -40}}],
    )
    for_: Duration = Field(
        timedelta(0),
        alias="for",
        description="state rules: must stay true so long before it is told",
        examples=["30s"],
    )
    keep_firing_for: Duration = Field(
        timedelta(0),
        description="state rules: stays an alert so long after its end, so that a flutter makes one",
        examples=["5m"],
    )
    repeat: Duration | None = Field(
        None,
        description="a reminder so often, until it ends or is acknowledged; of event rules at most 24",
        examples=["1h"],
    )
    cooldown: Duration | None = Field(
        None,
        description="event rules: at most one notification in so long; what was held back is told with its count",
        examples=["15m"],
    )
    per: Grouping | None = Field(
        None,
        description="state rules: one instance for each group of entities, which `sum` and the like look at; event rules: "
        "what `count` and `cooldown` are counted by, else venue, account",
        examples=[["account"]],
    )
    absent: Duration | None = Field(
        None,
        description="event rules: fires when none of them came for so long, until one comes; for each group of `per`",
        examples=["24h"],
    )
    then: Condition = Field(
        None,
        description="event rules: told only if this happens next in that time",
        examples=[{"watch": "order.canceled", "within": "5m"}],
    )
    unless: Condition = Field(
        None,
        description="event rules: told when the time is over, unless this happens in it, before or after",
        examples=[{"watch": "order.filled", "within": "10m"}],
    )
    active: Condition = Field(
        None,
        description="the hours in which conditions and timers count; at their end an alert is over (out of hours)",
        examples=["trading"],
    )
    notify_during: Condition = Field(
        None,
        description="the hours in which people are told; what happened or still fires is told when they begin",
        examples=["day"],
    )
    inhibited_by: Inhibitors | None = Field(
        None,
        description="not told while one of these rules fires for the same venue (with `same: [id]` for the same entity); what "
        "still fires when that ends is told then",
        examples=[["venue-down"]],
    )
    escalate: tuple[EscalationConfig, ...] | None = Field(
        None,
        description="whom to tell too while nobody acknowledges, and (`repeat`) how often again; an event's alert for a day",
        examples=[[{"after": "10m", "notify": ["phone"]}]],
    )
    if_unknown: Literal["tell", "ignore"] = Field(
        "tell",
        description="event rules: what to do when a field that is compared is missing",
        examples=["ignore"],
    )
    on_gap: Literal["hold", "resolve"] = Field(
        "hold",
        description="state rules: while the venue is away, `hold` lets the timers stand still, `resolve` ends the alert",
        examples=["resolve"],
    )
    severity: Severity = Field("warning", description="how bad it is", examples=["critical"])
    notify: Names | None = Field(
        None,
        description="the channels to tell; else what `defaults` say for the severity, else all",
        examples=[["phone", "desk"]],
    )
    title: str | None = Field(
        None,
        description="the message's title: a Jinja2 template",
        examples=["{{ symbol }} is down {{ profit }} {{ currency }}"],
    )
    message: str | None = Field(
        None,
        description="the message's body: a Jinja2 template",
        examples=["opened at {{ opened.strftime('%H:%M') }}, {{ where }}"],
    )
    value: str | None = Field(
        None,
        description="the number that `value`, `worst` and `value_at_start` of a message speak of; else the first that is compared",
        examples=["profit"],
    )
    enabled: bool = Field(True, strict=True, description="false: checked, not run", examples=[False])


KEYS = tuple(field.alias or name for name, field in RuleConfig.model_fields.items())


def rule_schema() -> dict[str, Any]:
    """The JSON Schema of one rule, its definitions under `$defs`."""
    schema = RuleConfig.model_json_schema(ref_template="#/$defs/{model}")
    schema["$defs"] |= DEFINITIONS | {
        "Calendar": CALENDAR_SCHEMA,
        "SequenceSpec": sequence.SCHEMA,
        "Watched": _shape(schema["properties"]["watch"]),
        "Duration": _shape(schema["properties"]["for"]),
    }
    for key in CONDITIONS:
        schema["properties"][key] |= {"$ref": "#/$defs/Condition"}
    for key in SEQUENCES:
        schema["properties"][key] |= {"$ref": "#/$defs/SequenceSpec"}
    for key in HOURS:
        schema["properties"][key]["anyOf"] = [{"type": "string"}, {"$ref": "#/$defs/Calendar"}]
    for key in (
        "repeat",
        "cooldown",
        "per",
        "absent",
        "inhibited_by",
        "escalate",
        "notify",
        "title",
        "message",
        "value",
    ):
        shape = schema["properties"][key]
        given = [option for option in shape.pop("anyOf") if option != {"type": "null"}]
        schema["properties"][key] = (given[0] if len(given) == 1 else {"anyOf": given}) | shape
    for shape in schema["properties"].values():
        if shape.get("default", "") is None:
            del shape["default"]
    return schema


def _shape(schema: dict[str, Any]) -> dict[str, Any]:
    """What a value must be, without what it means there."""
    return {key: part for key, part in schema.items() if key not in ("title", "description", "default")}


def read_rule(node: document.Mapping, report: Report) -> RuleConfig | None:
    """The rule's keys, each of its shape. What is wrong is put in the report; None where there is no `watch`.

    A key of a wrong shape counts as absent, so that the rest can still be checked.
    """
    values = {
        key: entry.value if key in _WITH_PLACES else entry.value.plain()
        for key, entry in node.entries.items()
    }
    try:
        return RuleConfig.model_validate(values)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_input=False)
    for error in errors:
        _complain(error, node, report)
    wrong = {error["loc"][0] for error in errors}
    sound = {"id": "?"} | {key: value for key, value in values.items() if key not in wrong}
    return RuleConfig.model_validate(sound) if "watch" in sound else None


def _complain(error: ErrorDetails, node: document.Mapping, report: Report) -> None:
    key = str(error["loc"][0])
    entry = node.entries.get(key)
    if error["type"] == "missing":
        there = document.find(node, error["loc"][:-1]) if len(error["loc"]) > 1 else node
        report.under(key if there is not node else "").error(f"`{error['loc'][-1]}` is missing", there.place)
    elif entry is None:
        raise AssertionError(error["type"])  # pydantic found fault with a key that isn't there
    elif error["type"] == "extra_forbidden" and len(error["loc"]) > 1:
        there, unknown = document.find(node, error["loc"][:-1]), str(error["loc"][-1])
        place = there.entries[unknown].key.place if isinstance(there, document.Mapping) else there.place
        known = tuple(EscalationConfig.model_fields)
        hint = did_you_mean(unknown, known, f"there are {', '.join(known)}")
        report.under(key).error(f"unknown key `{unknown:.80}`", place, hint)
    elif error["type"] == "extra_forbidden":
        report.under("")
        if key in LATER:
            report.error(f"`{key}` is not supported by this version", entry.key.place)
        else:
            report.error(
                f"unknown key `{key:.80}`",
                entry.key.place,
                did_you_mean(key, KEYS, f"there are {', '.join(KEYS)}"),
            )
    else:
        faulty = document.find(node, _path(error))
        message, hint = _said(error, faulty)
        report.under(key).error(message, faulty.place, hint)


def _path(error: ErrorDetails) -> tuple[str | int, ...]:
    if error["loc"][0] == "escalate":
        return tuple(step for step in error["loc"] if isinstance(step, int) or step in _ESCALATE)
    return tuple(step for step in error["loc"] if isinstance(step, int) or step == error["loc"][0])


_ESCALATE = frozenset({"escalate", *EscalationConfig.model_fields})


def _said(error: ErrorDetails, faulty: document.Node) -> tuple[str, str]:
    context: Mapping[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(context["error"]), ""
        case "string_type":
            return "must be a text", "put it in quotes" if isinstance(faulty, document.Scalar) else ""
        case "bool_type":
            return "must be true or false", ""
        case "literal_error":
            words = tuple(str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", "))
            written = faulty.plain()
            hint = did_you_mean(written, words) if isinstance(written, str) else ""
            return f"must be {context['expected'].replace(chr(39), '`')}", hint
        case "string_pattern_mismatch":
            return "an id is one word of at most 100 characters, without quotes, `=` and `,`", ""
        case "too_short":
            return "an empty list", ""
        case "tuple_type" | "model_type" | "model_attributes_type":
            return "must be a list of steps", "write it like [{after: 10m, notify: [boss]}]"
        case _:
            return error["msg"], ""


# ---------------------------- what the keys say: whether they fit the sort of rule, and whether what they name exists


class TemplateFlaw(NamedTuple):
    """One thing wrong with a template; `offset` and `length` are of what the caret stands under, in its text."""

    offset: int
    length: int
    message: str
    hint: str = ""


class Usable(NamedTuple):
    """What a template may use: names, the fields of each of `members`, and those of what is linked."""

    names: frozenset[str]
    members: frozenset[str]
    links: frozenset[str] = frozenset({"account"})


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
    "absent": "what has fallen silent is found by `when: time_since(last_seen) > 60s`",
    "then": _SEQUENCE,
    "unless": _SEQUENCE,
}
_EXCLUDING = (
    (*SEQUENCES, "make a rule for each"),
    ("absent", "when", "say in `where` which of them count"),
    ("absent", "cooldown", "it fires once, until one comes; `repeat` reminds of it"),
    *(("absent", key, "make a rule for each") for key in SEQUENCES),
    ("absent", "if_unknown", "one of which it isn't known whether it passes `where` hasn't come"),
    ("absent", "value", "what doesn't come has no number"),
)
"""Pairs of keys of event rules that can't stand in one, and what to do instead of the second."""
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
        _excluding(node, report)
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


def _excluding(node: document.Mapping, report: Report) -> None:
    for one, other, instead in _EXCLUDING:
        for key in _given(node, (other,)) if one in node.entries else ():
            report.error(f"`{one}` and `{other}` can't stand in one rule", key.place, instead)


def notified(node: document.Mapping, said: RuleConfig, channels: frozenset[str], report: Report) -> None:
    """`notify` names channels of the config."""
    if said.notify is None:
        return
    written = node.entries["notify"].value
    report.under("notify")
    for item in _channels(written):
        if item.text not in channels:
            _no_channel(item, channels, report)
    if not said.notify:
        report.warning("an empty list: nobody is told", written.place)


def escalated(
    node: document.Mapping,
    said: RuleConfig,
    channels: frozenset[str],
    limits: Mapping[str, Severity],
    report: Report,
) -> None:
    """The steps of `escalate` name channels of the config that take what the rule tells, in the order of their times.

    `limits`: each channel's `min_severity`, as far as it is known.
    """
    if said.escalate is None:
        return
    report.under("escalate")
    written = node.entries["escalate"].value
    if not said.escalate:
        report.error("an empty list: nobody is told", written.place, "leave `escalate` away")
    before = timedelta(0)
    for number, step in enumerate(said.escalate):
        at = document.find(node, ("escalate", number, "after")).place
        if step.after <= before:
            report.error(
                "steps stand in the order of their times, each later than the one before"
                if before
                else "a time that is over at once",
                at,
            )
        before = step.after
        notify = document.find(node, ("escalate", number, "notify"))
        if not step.notify:
            report.error("an empty list: nobody is told", notify.place)
        if step.repeat is not None and step.repeat.total_seconds() < _SHORTEST_REPEAT:
            report.error(
                "more often than each second", document.find(node, ("escalate", number, "repeat")).place
            )
        for item in _channels(notify):
            if item.text not in channels:
                _no_channel(item, channels, report)
            elif SEVERITIES.index(limits.get(item.text, "info")) > SEVERITIES.index(said.severity):
                report.error(
                    f"`{item.text}` takes what is {limits[item.text]} only, and this rule's alerts are {said.severity}: "
                    "it would hear of none",
                    item.place,
                    "lower its min_severity, raise the rule's severity, or name another channel",
                )


def _channels(written: document.Node) -> list[document.Scalar]:
    items = written if isinstance(written, document.Sequence) else [written]
    return [item for item in items if isinstance(item, document.Scalar)]


def _no_channel(item: document.Scalar, channels: frozenset[str], report: Report) -> None:
    known = tuple(sorted(channels))
    there = f"there are {', '.join(known)}" if known else "the config has no `channels`"
    report.error(f"no channel is called `{item.text:.80}`", item.place, did_you_mean(item.text, known, there))


def templated(
    node: document.Mapping,
    said: RuleConfig,
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
    links = frozenset(link.kind for link in LINKS.values() if link.of.issuperset(kinds))
    return Usable(TEMPLATE_NAMES | names | links, members, links | {"account"})


def valued(node: document.Mapping, said: RuleConfig, readable: Scope, report: Report) -> None:
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
    node: document.Mapping, said: RuleConfig, numbers: Collection[str], report: Report
) -> None:
    """`value` is one of the group's numbers that the conditions speak of."""
    if said.value is not None and said.value not in numbers:
        known = tuple(numbers)
        report.under("value").error(f"`{said.value:.80}` is no number of the group that the rule speaks of",
                                    node.entries["value"].value.place,
                                    f"there are {', '.join(known)}" if known else "")  # fmt: skip


def lasting(node: document.Mapping, said: RuleConfig, report: Report) -> None:
    """Times that are too short to mean anything."""
    if said.repeat is not None and said.repeat.total_seconds() < _SHORTEST_REPEAT:
        report.under("repeat").error(
            "a reminder more often than each second", node.entries["repeat"].value.place
        )
    if said.absent is not None and not said.absent:
        report.under("absent").error("a time that is over at once", node.entries["absent"].value.place)


def _given(node: document.Mapping, keys: tuple[str, ...]) -> list[document.Scalar]:
    return [node.entries[key].key for key in keys if key in node.entries]

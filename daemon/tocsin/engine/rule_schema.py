"""A rule as a user writes it: its keys and their shapes, and the JSON Schema that editors are given.

What the keys say is checked in `rule_keys.py`, what its conditions say, and what all of it means together, in `compile.py`.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails

from tocsin import document
from tocsin.calendars import CALENDAR_SCHEMA
from tocsin.engine.api import Severity
from tocsin.engine.language.mapping import DEFINITIONS, watched
from tocsin.engine.language.scope import GROUPING
from tocsin.errors import Report
from tocsin.events.vocabulary import did_you_mean
from tocsin.quantities import Duration

CONDITIONS = ("where", "when", "until")
SEQUENCES = ("then", "unless")
HOURS = ("active", "notify_during")
_WITH_PLACES = frozenset((*CONDITIONS, *SEQUENCES, *HOURS))
"""What is read further with the places of its parts."""
OF_CHANNELS = frozenset({
    "urls", "fallback", "rate", "digest", "quiet", "storm", "min_severity", "resolved", "send_resolved", "silent", "marks",
    "answers", "expire",
})  # fmt: skip
"""What a channel of the config has, and a rule hasn't."""
_ID = r"^[^\s\"'=,]{1,100}$"


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, (list, tuple)):
        raise ValueError("must be a text or a list of texts")
    return tuple(value)


def _listed(value: Any) -> Any:
    """One item needs no list."""
    return value if isinstance(value, list | tuple) else (value,)


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


def _same(value: Any) -> Any:
    if value != "id":
        raise ValueError(_ONLY_ID)
    return value


def _alike(value: Any) -> Any:
    if value in ((), []):
        raise ValueError(_ONLY_ID)
    return _listed(value)


_ONLY_ID = "`same` can be [id] only: the same entity; without it the same venue is meant"


class InhibitorConfig(BaseModel):
    """A rule that holds others back; its id alone is the short form."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    rule: str
    same: Annotated[tuple[Annotated[str, PlainValidator(_same)], ...], BeforeValidator(_alike)] = ()

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, value: Any) -> Any:
        if not isinstance(value, str | dict):
            raise ValueError("must be a rule's id, or {rule: ID, same: [id]}")
        return {"rule": value} if isinstance(value, str) else value


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
    tuple[InhibitorConfig, ...],
    BeforeValidator(_listed),
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


class RunConfig(BaseModel):
    """The actions that an alert starts; a list of names alone is the short form of `on_firing`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, title="Run")

    on_firing: Names = Field((), description="when it fires", examples=[["hedge"]])
    on_resolved: Names = Field((), description="when it is over", examples=[["unhedge"]])


def _spelled_out(value: Any) -> Any:
    return {"on_firing": value} if isinstance(value, str | list | tuple) else value


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
    run: Annotated[RunConfig, BeforeValidator(_spelled_out)] | None = Field(
        None,
        description="actions of the config to start: a list of them when it fires; for both ends {on_firing: [], on_resolved: []}",
        examples=[["hedge"], {"on_firing": ["hedge"], "on_resolved": ["unhedge"]}],
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


_SEQUENCE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "watch": {"$ref": "#/$defs/Watched"},
        "when": {
            "$ref": "#/$defs/Condition",
            "description": "which of them count; first.FIELD is a field of the first event's entity",
        },
        "match": {
            "type": "object",
            "description": "a field of the second: the field of the first that it is equal to",
            "additionalProperties": {"type": "string"},
            "minProperties": 1,
            "examples": [{"order_id": "id"}],
        },
        "within": {"$ref": "#/$defs/Duration"},
    },
    "required": ["watch", "within"],
    "additionalProperties": False,
}


KEYS = tuple(field.alias or name for name, field in RuleConfig.model_fields.items())


def rule_schema() -> dict[str, Any]:
    """The JSON Schema of one rule, its definitions under `$defs`."""
    schema = RuleConfig.model_json_schema(ref_template="#/$defs/{model}")
    schema["$defs"] |= DEFINITIONS | {
        "Calendar": CALENDAR_SCHEMA,
        "SequenceSpec": _SEQUENCE_SCHEMA,
        "Watched": _shape(schema["properties"]["watch"]),
        "Duration": _shape(schema["properties"]["for"]),
    }
    for key in CONDITIONS:
        schema["properties"][key] |= {"$ref": "#/$defs/Condition"}
    for key in SEQUENCES:
        schema["properties"][key] |= {"$ref": "#/$defs/SequenceSpec"}
    for key in HOURS:
        schema["properties"][key] |= {"$ref": "#/$defs/Calendar"}  # a name is a text, as a window is
    for key in (
        "repeat",
        "cooldown",
        "per",
        "absent",
        "inhibited_by",
        "escalate",
        "run",
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
        known = tuple(_NESTED[key].model_fields)
        hint = did_you_mean(unknown, known, f"there are {', '.join(known)}")
        report.under(key).error(f"unknown key `{unknown:.80}`", place, hint)
    elif error["type"] == "extra_forbidden":
        report.under("")
        report.error(f"unknown key `{key:.80}`", entry.key.place, _instead(key))
    else:
        faulty = document.walk(node, error["loc"])[2]
        message, hint = _said(error, faulty)
        report.under(key).error(message, faulty.place, hint)


_NESTED: Mapping[str, type[BaseModel]] = {
    "escalate": EscalationConfig,
    "inhibited_by": InhibitorConfig,
    "run": RunConfig,
}
"""Keys whose items are mappings themselves."""


def _instead(key: str) -> str:
    if key == "quiet":
        return "`quiet` is a channel's; a rule's own hours are `notify_during`, in which people are told"
    if key in OF_CHANNELS:
        return f"`{key}` is a key of channels, in the config"
    return did_you_mean(key, KEYS, f"there are {', '.join(KEYS)}")


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
        case "model_type" | "model_attributes_type" if error["loc"][0] == "run":
            return "must be a list of actions", "or {on_firing: [hedge], on_resolved: [unhedge]}"
        case "tuple_type" | "model_type" | "model_attributes_type":
            return "must be a list of steps", "write it like [{after: 10m, notify: [boss]}]"
        case _:
            return error["msg"], ""

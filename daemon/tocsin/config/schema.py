"""JSON Schema of the config and of rule files, for editors; made from the very types that check them."""

from typing import TYPE_CHECKING, Any, cast

from tocsin.actions.model import ActionSettings
from tocsin.config.descriptions import DESCRIBED
from tocsin.config.reports import ReportSection
from tocsin.config.settings import IDENTIFIER, Common
from tocsin.delivery.model import ChannelSettings
from tocsin.engine.rule_schema import rule_schema
from tocsin.venues.registry import adapter, venue_types

if TYPE_CHECKING:
    from tocsin.venues.json.adapter import JsonVenue

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{model}"
Schema = dict[str, Any]


def config_schema() -> Schema:
    """The schema of `config.yaml`; each type of venue with the options of its own."""
    definitions: Schema = {}
    schema = _lifted(Common.model_json_schema(ref_template=_REF), definitions)
    schema["properties"] = {
        "venues": _named({"oneOf": [_venue(kind, definitions) for kind in venue_types()]}, "what is watched"),
        "channels": _named(_channel(definitions), "who is told"),
        "actions": _named(_action(definitions), "what alerts may start"),
        "calendars": _named({"$ref": "#/$defs/Calendar"}, "hours that rules name"),
        "reports": {
            "description": "what is told at times of the day",
            "type": ["array", "null"],
            "items": _report(definitions),
        },
        "rules": {
            "description": "rules, and files of rules by name or pattern",
            "type": ["array", "null"],
            "items": {"anyOf": [{"type": "string"}, _rule(definitions)]},
        },
        **{name: _or_null(section) for name, section in schema["properties"].items()},
    }
    return {"$schema": _DIALECT, **schema, "title": "Tocsin's configuration", "$defs": definitions}


def rules_schema() -> Schema:
    """The schema of a file in `rules/`."""
    definitions: Schema = {}
    rules: Schema = {"type": ["array", "null"], "items": _rule(definitions)}
    # A list of rules, or a mapping with one. Not as alternatives: of those an editor says only that none fits.
    either = {"type": ["array", "object", "null"], "items": rules["items"], "properties": {"rules": rules}}
    return {
        "$schema": _DIALECT,
        "title": "Rules of Tocsin",
        **either,
        "additionalProperties": False,
        "$defs": definitions,
    }


def venue_schema() -> Schema:
    """The schema of a venue's description."""
    return cast("JsonVenue", adapter(DESCRIBED)).schema()


def _venue(kind: str, definitions: Schema) -> Schema:
    found = adapter(kind)
    schema = _lifted(found.settings.model_json_schema(ref_template=_REF), definitions)
    schema["properties"]["type"] = {"const": kind, "description": found.summary}
    definitions[f"venue-{kind}"] = schema
    return {"$ref": f"#/$defs/venue-{kind}"}


def _channel(definitions: Schema) -> Schema:
    schema = _lifted(ChannelSettings.model_json_schema(ref_template=_REF), definitions)
    url = {
        "type": "string",
        "description": "an Apprise URL",
        "examples": ["tgram://${cred:telegram_token}/CHAT"],
    }
    schema["properties"]["urls"] = {"anyOf": [schema["properties"]["urls"], url]}
    definitions["channel"] = schema
    return {"anyOf": [url, {"$ref": "#/$defs/channel"}]}


def _action(definitions: Schema) -> Schema:
    definitions["action"] = _lifted(ActionSettings.model_json_schema(ref_template=_REF), definitions)
    return {"$ref": "#/$defs/action"}


def _report(definitions: Schema) -> Schema:
    definitions["report"] = _lifted(ReportSection.model_json_schema(ref_template=_REF), definitions)
    at = definitions["report"]["properties"]["at"]
    definitions["report"]["properties"]["at"] = {
        "anyOf": [at, {"type": "string"}],
        "description": at["description"],
    }
    return {"$ref": "#/$defs/report"}


def _rule(definitions: Schema) -> Schema:
    definitions["rule"] = _lifted(rule_schema(), definitions)
    return {"$ref": "#/$defs/rule"}


def _named(schema: Schema, description: str) -> Schema:
    return {
        "type": ["object", "null"],
        "description": description,
        "patternProperties": {f"^{IDENTIFIER}$": schema},
        "additionalProperties": False,
    }


def _or_null(section: Schema) -> Schema:
    """A section whose lines are all commented out is null."""
    if {"type": "null"} in section.get("anyOf", ()):
        return section
    kept: Schema = {key: section[key] for key in ("description", "default") if key in section}
    return {"anyOf": [section, {"type": "null"}], **kept}


def _lifted(schema: Schema, definitions: Schema) -> Schema:
    """The schema, its own definitions moved to the common ones."""
    definitions |= schema.pop("$defs", {})
    return schema

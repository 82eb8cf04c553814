"""The JSON Schemas say the same as the checks: the same keys, closed where those are closed, no reference into nothing."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tocsin.config.schema import config_schema, rules_schema
from tocsin.config.settings import Common
from tocsin.delivery.model import ChannelSettings
from tocsin.venues.registry import adapter, venue_types


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
    for child in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from parts(child)


@pytest.fixture(scope="module", params=[config_schema, rules_schema])
def schema(request):
    return request.param()


def test_every_reference_leads_somewhere(schema):
    references = [part["$ref"] for part in parts(schema) if isinstance(part.get("$ref"), str)]
    assert references
    for reference in references:
        assert reference.startswith("#/$defs/")
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


def test_definitions_stand_in_one_place(schema):
    assert [part for part in parts(schema) if "$defs" in part] == [schema]


def test_the_config_has_its_sections_and_no_others():
    schema = config_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {
        "venues",
        "channels",
        "actions",
        "rules",
        "calendars",
        "reports",
        *Common.model_fields,
    }


@pytest.mark.parametrize("kind", venue_types())
def test_each_venue_has_the_options_of_its_adapter(kind):
    schema = config_schema()
    venue = schema["$defs"][f"venue-{kind}"]
    assert venue["properties"]["type"]["const"] == kind
    assert set(venue["properties"]) == set(adapter(kind).settings.model_fields)
    assert venue["additionalProperties"] is False
    (named,) = schema["properties"]["venues"]["patternProperties"].values()
    assert {"$ref": f"#/$defs/venue-{kind}"} in named["oneOf"]


def test_a_channel_is_a_url_or_has_options():
    schema = config_schema()
    (named,) = schema["properties"]["channels"]["patternProperties"].values()
    assert [option.get("type") or option["$ref"] for option in named["anyOf"]] == [
        "string",
        "#/$defs/channel",
    ]
    assert set(schema["$defs"]["channel"]["properties"]) == set(ChannelSettings.model_fields)


def test_a_rule_is_closed_and_needs_its_identity():
    rule = rules_schema()["$defs"]["rule"]
    assert rule["additionalProperties"] is False
    assert {"id", "watch", "when", "notify", "for", "severity"} <= set(rule["properties"])
    assert {"id", "watch"} <= set(rule["required"])


def test_no_default_shows_a_secret_or_an_object_of_python():
    text = str(config_schema())
    for word in ("<tocsin", "Secret(", "***", "timedelta(", "Decimal("):
        assert word not in text


def test_a_file_of_rules_offers_no_alternatives_of_which_an_editor_says_only_that_none_fits():
    schema = rules_schema()
    assert not {"anyOf", "oneOf"} & schema.keys()
    assert schema["type"] == ["array", "object", "null"]
    assert schema["items"] == schema["properties"]["rules"]["items"] == {"$ref": "#/$defs/rule"}


def test_an_editor_completes_events_and_statuses():
    schema = rules_schema()
    one, several = schema["$defs"]["rule"]["properties"]["watch"]["anyOf"]
    known, added = one["anyOf"]
    assert {"order", "order.canceled", "order.*", "position.closed", "daemon.delivery_failed"} <= set(
        known["enum"]
    )
    assert "daemon" not in known["enum"]
    assert re.search(added["pattern"], "contract.settlement_went_well")
    assert several["items"] == one
    fields = schema["$defs"]["Condition"]["anyOf"][1]["properties"]
    words = next(option for option in fields["side"]["anyOf"] if "enum" in option)
    assert words["enum"] == ["buy", "sell", "long", "short"]
    status = fields["status"]["anyOf"][0]["anyOf"]
    assert "partially_filled" in status[0]["enum"]
    assert status[1] == {"type": "string"}  # contracts have words of their venues' own

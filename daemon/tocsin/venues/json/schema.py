"""JSON Schema of a description, for editors: made of the table by which it is checked."""

from typing import Any

from tocsin.quantities import DURATION
from tocsin.venues.json.grammar import (
    BLOCKS,
    Anything,
    Block,
    Either,
    Flag,
    Form,
    Many,
    Named,
    Nothing,
    Text,
)

Schema = dict[str, Any]


def description_schema() -> Schema:
    definitions = {name: _block(name) for name in BLOCKS if name != "description"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A venue, described for Tocsin",
        **_block("description"),
        "$defs": definitions,
    }


def _block(name: str) -> Schema:
    keys = BLOCKS[name]
    return {
        "type": "object",
        "properties": {key: {"description": each.doc, **_schema(each.form)} for key, each in keys.items()},
        "required": [key for key, each in keys.items() if each.needed],
        "additionalProperties": False,
    }


def _schema(form: Form) -> Schema:
    match form:
        case Text():
            return _text(form)
        case Flag():
            return {"type": "boolean"}
        case Nothing():
            return {"type": "null"}
        case Block(name):
            return {"$ref": f"#/$defs/{name}"}
        case Many(of):
            return {"type": "array", "items": _schema(of)}
        case Named(of):
            return {"type": "object", "additionalProperties": _schema(of)}
        case Either(forms):
            return {"anyOf": [_schema(each) for each in forms]}
        case Anything():
            return {}
    raise TypeError(form)


def _text(form: Text) -> Schema:
    if form.words:
        return {"enum": list(form.words)}
    if form.like == "duration":
        return {"type": "string", "pattern": f"^{DURATION}$"}
    if form.like == "number":
        return {"type": ["number", "string"]}
    return {"type": ["string", "number", "boolean"]} if form.like == "word" else {"type": "string"}

"""The JSON Schema of a condition, derived from the vocabulary and from the mapping's comparisons."""

from typing import Any

from tocsin.engine.language.mapping import FIELD, OPERATORS
from tocsin.events import KINDS
from tocsin.events.vocabulary import all_fields, events, fields


def _described() -> dict[str, str]:
    """Every field that a condition can name, and what it is, kind by kind."""
    said: dict[str, dict[str, list[str]]] = {}
    for kind in KINDS:
        for name, field in fields(kind).items():
            said.setdefault(name, {}).setdefault(field.doc, []).append(kind)
    for name, field in all_fields("account").items():
        if name in fields("account"):
            said.setdefault(f"account.{name}", {})[f"of the account: {field.doc}"] = []
    return {
        name: "; ".join(
            doc if len(docs) == 1 else f"{', '.join(kinds)}: {doc}" for doc, kinds in docs.items()
        )
        for name, docs in said.items()
    }


def _of(name: str) -> dict[str, Any]:
    """What a field can be compared with: any value; its own words; or those, and what venues say where a kind has none."""
    found = [known for kind in KINDS if (known := fields(kind).get(name)) is not None]
    words = list(dict.fromkeys(word for field in found for word in field.values))
    if not words:
        return FIELD
    word: dict[str, Any] = {"enum": words}
    if any(not field.values for field in found):
        word = {"anyOf": [word, {"type": "string"}]}
    return {"anyOf": [word, {"type": "array", "items": word, "minItems": 1}, {"$ref": "#/$defs/Comparisons"}]}


_CONDITION = {"$ref": "#/$defs/Condition"}
_CONDITIONS = {"type": "array", "items": _CONDITION, "minItems": 1}
_EITHER: dict[str, Any] = {
    "description": "an expression (`profit < -50`) or fields with what they must be ({profit: {below: -50}})",
    "anyOf": [
        {"type": "string", "minLength": 1, "examples": ["profit < -50 and not missing(stop_loss)"]},
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {
                "all": _CONDITIONS | {"description": "every one of these"},
                "any": _CONDITIONS | {"description": "at least one of these"},
                "not": _CONDITION | {"description": "this is not so"},
                **{name: _of(name) | {"description": doc} for name, doc in _described().items()},
            },
        },
    ],
}
DEFINITIONS: dict[str, Any] = {
    "Condition": _EITHER,
    "Comparisons": {
        "type": "object",
        "properties": {
            name: {**operator.takes, "description": operator.doc} for name, operator in OPERATORS.items()
        },
        "additionalProperties": False,
        "minProperties": 1,
    },
}
"""What a schema that uses a condition needs under `$defs`."""


def watched() -> dict[str, Any]:
    """What a rule can watch: a kind, an event of one, all events of one; and the words that venues add of their own."""
    kinds = [kind for kind in KINDS if kind != "daemon"]
    known = [*kinds, *(name for kind in KINDS for name in (*events(kind), f"{kind}.*"))]
    added = "|".join(kind for kind in KINDS if KINDS[kind].open_status)
    return {"anyOf": [{"enum": known}, {"pattern": f"^({added})\\.", "type": "string"}]}

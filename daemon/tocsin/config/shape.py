"""Checks a node against a pydantic model, and says what is wrong in plain words, at its place."""

import re
from collections.abc import Mapping as Map
from types import MappingProxyType
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from tocsin.document import Mapping, Node, Plain, Scalar, walk
from tocsin.errors import Place, Problem
from tocsin.events.vocabulary import did_you_mean
from tocsin.secrets import Secret

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]

_NAME = re.compile(r"[A-Za-z_-]{1,20}", re.ASCII)  # what is no secret
_WORDS = {
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "dict_type": "must be a mapping (lines of key: value)",
    "model_type": "must be a mapping (lines of key: value)",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "too_short": "an empty list",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "is not of the form wanted",
}


class Section(BaseModel):
    """One section of the config. An unknown key is an error; a value is never shown in one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )


def check(
    model: type[Model], node: Node, path: Path = (), plain: Plain = None, head: Place | None = None
) -> tuple[Model | None, list[Problem]]:
    """The model made of `node` (of `plain`, where given: the node's values with secrets filled in), or what is wrong.

    `path` is where the node itself is in its file, and names the problems. What is missing is shown at `head` (the
    node's key), or at the node.
    """
    found, problems, _ = _checked(model, node, path, plain, head)
    return found, problems


def sound(
    model: type[Model],
    node: Mapping,
    path: Path = (),
    plain: Plain = None,
    head: Place | None = None,
    *,
    instead: Map[str, Any] = MappingProxyType({}),
) -> tuple[Model, list[Problem]]:
    """As `check`, but what is wrong at the top of `node` counts as absent, so that the rest can still be looked at.

    `instead` has a value for each key that can't be absent.
    """
    values = node.plain() if plain is None else plain
    found, problems, wrong = _checked(model, node, path, values, head)
    if found is not None:
        return found, problems
    kept = (
        {key: value for key, value in values.items() if key not in wrong} if isinstance(values, dict) else {}
    )
    try:
        return model.model_validate({**instead, **kept}), problems
    except ValidationError:  # what is wrong is how its keys go together
        return model.model_validate({**instead}), problems


def _checked(
    model: type[Model], node: Node, path: Path, plain: Plain, head: Place | None
) -> tuple[Model | None, list[Problem], set[str | int]]:
    """The model or None, what is wrong, and under which keys."""
    if not isinstance(node, Mapping):
        return None, [Problem(_WORDS["model_type"], node.place, dotted(path))], set()
    try:
        return model.model_validate(node.plain() if plain is None else plain), [], set()
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    problems: dict[tuple[Place, str], Problem] = {}
    for item in found:
        if item["type"] == "too_short" and any(_is_below(other["loc"], item["loc"]) for other in found):
            continue  # what it holds is wrong, and was not counted
        problem = _problem(model, node, path, item, head)
        # A union says no once for each member; once is enough for one place.
        problems.setdefault((problem.place or node.place, problem.path), problem)
    return None, list(problems.values()), {item["loc"][0] for item in found if item["loc"]}


def _is_below(location: Path, of: Path) -> bool:
    return len(location) > len(of) and location[: len(of)] == of


def dotted(path: Path) -> str:
    """`rules[3].when.profit`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def known_keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def unknown_key(key: Scalar, path: Path, known: list[str]) -> Problem:
    hint = did_you_mean(key.text, known, f"known here: {', '.join(known)}")
    return Problem(f"unknown key `{key.text:.80}`", key.place, dotted(path), hint)


def _problem(model: type[BaseModel], root: Mapping, path: Path, error: Any, head: Place | None) -> Problem:
    steps, entry, node = walk(root, error["loc"])
    where = dotted((*path, *steps))
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden" and entry:
        holder = _holder(model, steps[:-1])
        return unknown_key(entry.key, (*path, *steps[:-1]), known_keys(holder) if holder else [])
    if kind == "missing":
        return Problem(
            f"the key `{error['loc'][-1]}` is missing",
            node.place
            if steps and isinstance(steps[-1], int)
            else entry.key.place
            if entry
            else head or node.place,
            where,
            _what_it_needs(model, str(error["loc"][-1])) if not steps else "",
        )
    hint = _about(model, steps) if len(steps) == 1 else ""
    unsaid = isinstance(node, Scalar) and node.value is None
    if unsaid and (kind == "string_type" or str(context.get("error", "")).startswith("must be a text")):
        return Problem("is empty: fill it in", node.place, where, _about(model, steps))
    number = isinstance(node, Scalar) and node.value is not None and not isinstance(node.value, str)
    if kind == "value_error":
        message = str(context["error"])
        quotes = number and message.startswith("must be a text")
        return Problem(message, node.place, where, "put it in quotes" if quotes else "")
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        choices = expected.replace(" or ", ", ").split(", ")
        hint = did_you_mean(node.text, choices) if isinstance(node, Scalar) else ""
        return Problem(f"must be {expected}", node.place, where, hint)
    if kind == "string_type":
        return Problem("must be a text", node.place, where, "put it in quotes" if number else hint)
    if kind in ("list_type", "tuple_type") and isinstance(node, Scalar) and _NAME.fullmatch(node.text):
        return Problem(_WORDS[kind], node.place, where, f"write it so: [{node.text}]")
    words = _WORDS.get(kind) or error["msg"].replace("Input should", "must").replace("Value error, ", "")
    return Problem(words, node.place, where, hint)


def _about(model: type[BaseModel], steps: Path) -> str:
    """What the key there holds, in words."""
    holder = _holder(model, steps[:-1])
    field = holder.model_fields.get(str(steps[-1])) if holder is not None else None
    return (field.description or "") if field is not None else ""


def _what_it_needs(model: type[BaseModel], name: str) -> str:
    """How a key is written whose value is a mapping, with the keys that this can't do without."""
    field = model.model_fields.get(name)
    inner = model_of(field.annotation) if field is not None else None
    if inner is None:
        return ""
    return f"{name}: {{{', '.join(f'{key}: …' for key, each in inner.model_fields.items() if each.is_required())}}}"


def _holder(model: type[BaseModel], steps: Path) -> type[BaseModel] | None:
    """The model that holds the keys at `steps` below `model`; None where that isn't one model's."""
    if not steps:
        return model
    field = model.model_fields.get(str(steps[0]))
    annotation = field.annotation if field else None
    below = steps[2:] if get_origin(annotation) is dict else steps[1:]  # a mapping by names has one step more
    below = tuple(step for step in below if not isinstance(step, int))  # and so has a list
    for part in (annotation, *_parts(annotation)):
        if (holder := model_of(part)) is not None:
            return _holder(holder, below)
    return None


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The model whose keys a field of that type has below it; None where it is no model."""
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _parts(annotation: Any) -> list[Any]:
    """What a union (annotated or not) is made of."""
    return [deeper for part in get_args(annotation) for deeper in (part, *_parts(part))]


def matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text, re.ASCII) is not None


def holds_secret(annotation: Any) -> bool:
    """Whether a model's field of that type holds secrets."""
    return annotation is Secret or any(holds_secret(part) for part in get_args(annotation))

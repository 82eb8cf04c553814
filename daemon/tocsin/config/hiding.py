"""Hides what stands where the schema has a secret, of whatever shape it is: a token in a person's place, a URL in that of a heartbeat.

What stands beside a problem is a line of the file, and the more is wrong in it, the less it looks like what is hidden by its looks.
"""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from tocsin.config import shape
from tocsin.config.reading import Reading
from tocsin.document import Mapping, Node, Scalar, Sequence
from tocsin.secrets import Secret


def hide_secrets(reading: Reading, node: Node, wanted: Any) -> None:
    """Of a node that is to be of the type `wanted`: a model, or what a field of one is annotated with."""
    kinds = [*_alternatives(wanted)]
    if not any(map(_holds_secret, kinds)):
        return
    fits = False
    for kind in kinds:
        model = shape.model_of(kind)
        if isinstance(node, Mapping) and (model or get_origin(kind) is dict):
            fits = True
            for name, entry in node.entries.items():
                _hide_entry(reading, name, entry.value, kind)
        elif isinstance(node, Sequence) and get_origin(kind) in (tuple, list):
            fits = True
            for item in node:
                hide_secrets(reading, item, get_args(kind)[0])
    if not fits and not (isinstance(node, Scalar) and node.value is None):
        reading.hide_secret(node)


def _hide_entry(reading: Reading, name: str, value: Node, kind: Any) -> None:
    """What stands in a model, or in a mapping by names, under a key."""
    if (model := shape.model_of(kind)) is None:
        hide_secrets(reading, value, get_args(kind)[1])
    elif name in (known := dict(zip(shape.known_keys(model), model.model_fields.values(), strict=True))):
        hide_secrets(reading, value, known[name].annotation)
    else:
        reading.hide_doubtful(value, name)


def _alternatives(annotation: Any) -> Iterator[Any]:
    """What a value of that type may be."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _alternatives(part)
    else:
        yield annotation


def _holds_secret(annotation: Any) -> bool:
    """Whether there is one in it, or in a model somewhere below."""
    if (model := shape.model_of(annotation)) is not None:
        return any(_holds_secret(field.annotation) for field in model.model_fields.values())
    return annotation is Secret or any(map(_holds_secret, get_args(annotation)))

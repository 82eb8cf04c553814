"""Whether a description has the form of one: every key known, every value of the kind that stands there.

What is wrong is noted and left out, so that all the rest can still be looked at.
"""

from tocsin.document import Entry, Mapping, Node, Scalar, Sequence
from tocsin.errors import Problem
from tocsin.events.vocabulary import did_you_mean
from tocsin.quantities import parse_duration
from tocsin.venues.json.cursor import Cursor
from tocsin.venues.json.grammar import (
    BLOCKS,
    LATER,
    Block,
    Either,
    Flag,
    Form,
    Key,
    Many,
    Named,
    Nothing,
    Text,
)

_LONGEST = 16_384  # characters of one value


def checked(root: Node, problems: list[Problem]) -> Node | None:
    """The description without what is wrong in it; None where nothing is left."""
    return _checked(Cursor(root, problems), Block("description"), problems)


def _checked(at: Cursor, form: Form, problems: list[Problem]) -> Node | None:
    if isinstance(form, Either):
        for each in form.forms:
            if _fits(at, each):
                return _checked(at, each, problems)
        at.refuse(f"must be {' or '.join(_wanted(each) for each in form.forms if each != Nothing())}")
        return None
    if not _fits(at, form):
        at.refuse(f"must be {_wanted(form)}")
        return None
    match form:
        case Block():
            return _block(at, form.name, problems)
        case Many():
            kept = [node for item in at.items() if (node := _checked(item, form.of, problems)) is not None]
            return Sequence(tuple(kept), at.node.place)
        case Named():
            return _named(at, form.of, problems)
        case Text():
            return _value(at, form)
    return at.node


def _fits(at: Cursor, form: Form) -> bool:
    """Whether what stands there is a value, list or mapping, as the form wants it."""
    node = at.node
    match form:
        case Text():
            return isinstance(node, Scalar) and node.value is not None
        case Flag():
            return isinstance(node, Scalar) and isinstance(node.value, bool)
        case Nothing():
            return isinstance(node, Scalar) and node.value is None
        case Many():
            return isinstance(node, Sequence)
        case Block() | Named():
            return isinstance(node, Mapping)
        case Either():
            return any(_fits(at, each) for each in form.forms)
    return True


def _wanted(form: Form) -> str:
    match form:
        case Text(like, words):
            return f"one of {', '.join(words)}" if words else f"a {like}"
        case Flag():
            return "true or false"
        case Many():
            return "a list"
        case Either(forms):
            return " or ".join(map(_wanted, forms))
        case Block(name):
            return f"a mapping of {', '.join(BLOCKS[name])}"
    return "a mapping (lines of key: value)"


def _block(at: Cursor, block: str, problems: list[Problem]) -> Node | None:
    known = BLOCKS[block]
    kept: dict[str, Entry] = {}
    present = set()
    for entry in at.entries():
        if entry.key is None:
            continue
        name = entry.key.text
        if name in LATER.get(block, ()):
            entry.refuse_key(f"`{name}` is not supported by this version")
        elif name not in known:
            hint = did_you_mean(name, list(known), f"known here: {', '.join(known)}")
            Cursor(at.node, problems, at.name, entry.key).refuse_key(f"unknown key `{name:.80}`", hint)
        else:
            present.add(name)
            if _is_absent(entry, known[name]):
                continue
            if (node := _checked(entry, known[name].form, problems)) is not None:
                kept[name] = Entry(entry.key, node)
    for name, key in known.items():
        if key.needed and name not in present:
            at.refuse_key(f"the key `{name}` is missing", key.doc)
    lacking = [name for name, key in known.items() if key.needed and name not in kept]
    # What lacks a key that it needs can't be looked at further, but for the whole.
    return None if lacking and block != "description" else Mapping(kept, at.node.place)


def _is_absent(entry: Cursor, key: Key) -> bool:
    """Whether nothing stands there: as if the key were not."""
    return not key.needed and _fits(entry, Nothing()) and not _fits(entry, key.form)


def _named(at: Cursor, form: Form, problems: list[Problem]) -> Node:
    kept = {
        entry.key.text: Entry(entry.key, node)
        for entry in at.entries()
        if entry.key is not None and (node := _checked(entry, form, problems)) is not None
    }
    return Mapping(kept, at.node.place)


def _value(at: Cursor, form: Text) -> Node | None:
    text = at.text
    if len(text) > _LONGEST:
        at.refuse(f"longer than {_LONGEST:,} characters")
        return None
    if form.words and text not in form.words:
        at.refuse(f"must be one of {', '.join(form.words)}", did_you_mean(text, form.words))
        return None
    if form.like == "duration":
        try:
            duration = parse_duration(text)
        except ValueError as error:
            at.refuse(str(error))
            return None
        if not duration:
            at.refuse("must be longer than nothing")
            return None
    if form.like == "number" and (not isinstance(at.node, Scalar) or not _is_number(at.node)):
        at.refuse("must be a number")
        return None
    return at.node


def _is_number(node: Scalar) -> bool:
    return node.value is not None and not isinstance(node.value, str | bool)

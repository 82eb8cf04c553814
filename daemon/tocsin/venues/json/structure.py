"""Whether a description has the form of one: every key known, every value of the kind that stands there.

What is wrong is noted and left out, so that all the rest can still be looked at.
"""

from tocsin.document import Entry, Mapping, Node, Scalar, Sequence
from tocsin.events import number
from tocsin.events.vocabulary import did_you_mean
from tocsin.quantities import parse_duration
from tocsin.venues.json.cursor import Cursor, Faults
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


def checked(root: Node, faults: Faults) -> Node | None:
    """The description without what is wrong in it; None where nothing is left."""
    return _checked(Cursor(root, faults), Block("description"), faults)


def _checked(at: Cursor, form: Form, faults: Faults) -> Node | None:
    if isinstance(form, Either):
        for each in form.forms:
            if _fits(at, each):
                return _checked(at, each, faults)
        at.refuse(f"must be {' or '.join(_wanted(each) for each in form.forms if each != Nothing())}")
        return None
    if not _fits(at, form):
        at.refuse(f"must be {_wanted(form)}")
        return None
    match form:
        case Block():
            return _block(at, form.name, faults)
        case Many() | Named() if _count(at) > form.most:
            at.refuse(f"more than {form.most}")
            return None
        case Many():
            kept = [node for item in at.items() if (node := _checked(item, form.of, faults)) is not None]
            return Sequence(tuple(kept), at.node.place)
        case Named():
            return _named(at, form.of, faults)
        case Text():
            return _value(at, form)
    return at.node


def _count(at: Cursor) -> int:
    return len(at.node.items) if isinstance(at.node, Sequence) else sum(1 for _ in at.entries())


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


def _block(at: Cursor, block: str, faults: Faults) -> Node | None:
    known = BLOCKS[block]
    kept: dict[str, Entry] = {}
    present = set()
    count = 0
    for entry in at.entries():
        if entry.key is None:
            continue
        count += 1
        name = entry.key.text
        if name in LATER.get(block, ()):
            entry.refuse_key(f"`{name}` is not supported by this version")
        elif name not in known:
            hint = did_you_mean(name, list(known), f"known here: {', '.join(known)}")
            Cursor(at.node, faults, at.name, entry.key).refuse_key(f"unknown key `{name:.80}`", hint)
        else:
            present.add(name)
            if _is_absent(entry, known[name]):
                count -= 1
                continue
            if (node := _checked(entry, known[name].form, faults)) is not None:
                kept[name] = Entry(entry.key, node)
    lacking = [name for name, key in known.items() if key.needed and name not in present]
    for name in lacking:
        at.refuse_key(f"the key `{name}` is missing", known[name].doc)
    node = Mapping(kept, at.node.place)
    if lacking or len(kept) < count:
        faults.leave_out_of(node)
    return node


def _is_absent(entry: Cursor, key: Key) -> bool:
    """Whether nothing stands there: as if the key were not."""
    return not key.needed and _fits(entry, Nothing()) and not _fits(entry, key.form)


def _named(at: Cursor, form: Form, faults: Faults) -> Node:
    """What is wrong in it stays as an empty value: there are others that name it."""
    kept = {
        entry.key.text: Entry(entry.key, _checked(entry, form, faults) or Scalar("", "", entry.node.place))
        for entry in at.entries()
        if entry.key is not None
    }
    return Mapping(kept, at.node.place)


def _value(at: Cursor, form: Text) -> Node | None:
    text = at.text
    if len(text) > _LONGEST:
        at.refuse(f"longer than {_LONGEST:,} characters")
        return None
    if any(not (char.isprintable() or char in "\n\t") for char in text):
        at.refuse("a character that can't be shown")
        return None
    if (form.one_line or form.like in ("text", "url")) and "\n" in text.rstrip("\n"):
        at.refuse("must be one line")
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
    try:
        return number(node.text) is not None
    except ValueError:
        return False

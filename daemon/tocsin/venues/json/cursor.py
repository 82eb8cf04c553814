"""A place in a description: the node there, how it is called from the top, and where what is wrong with it is noted."""

from collections.abc import Iterator

from tocsin.document import Mapping, Node, Scalar, Sequence
from tocsin.errors import Place, Problem


class Faults:
    """What is wrong with a description, and in which of its mappings something was left out for it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._broken: list[Mapping] = []

    def leave_out_of(self, node: Mapping) -> None:
        self._broken.append(node)

    def is_whole(self, node: Node) -> bool:
        return not any(node is broken for broken in self._broken)


class Cursor:
    """One node of a description on its way to what it means. Its structure was checked before (`structure.py`)."""

    __slots__ = ("faults", "key", "name", "node")

    def __init__(self, node: Node, faults: Faults, name: str = "", key: Scalar | None = None) -> None:
        self.node = node
        self.name = name
        self.key = key
        self.faults = faults

    def get(self, key: str) -> "Cursor | None":
        """What stands under the key, if anything does."""
        entry = self.node.entries.get(key) if isinstance(self.node, Mapping) else None
        if entry is None:
            return None
        return Cursor(entry.value, self.faults, f"{self.name}.{key}".lstrip("."), entry.key)

    def entries(self) -> Iterator["Cursor"]:
        """Those of a mapping, in order, each with its `key`."""
        if isinstance(self.node, Mapping):
            for entry in self.node:
                name = f"{self.name}.{entry.key.text}".lstrip(".")
                yield Cursor(entry.value, self.faults, name, entry.key)

    def items(self) -> list["Cursor"]:
        """Those of a list; what is none stands for a list of itself."""
        if not isinstance(self.node, Sequence):
            return [self]
        return [
            Cursor(node, self.faults, f"{self.name}[{count}]") for count, node in enumerate(self.node.items)
        ]

    def entries_at(self, key: str) -> list["Cursor"]:
        """The entries of the mapping under the key; none where there is none."""
        found = self.get(key)
        return [] if found is None else list(found.entries())

    def items_at(self, key: str) -> list["Cursor"]:
        """The items of the list under the key; none where there is none."""
        found = self.get(key)
        return [] if found is None else found.items()

    def has(self, key: str) -> bool:
        return self.get(key) is not None

    def flag(self, key: str) -> bool:
        """Whether `key: true` stands here."""
        found = self.get(key)
        return found is not None and isinstance(found.node, Scalar) and found.node.value is True

    def text_at(self, key: str, default: str = "") -> str:
        found = self.get(key)
        return default if found is None else found.text

    def isnt_false(self, key: str) -> bool:
        """Whether anything but `key: false` stands here."""
        found = self.get(key)
        return found is None or found.word != "false"

    @property
    def text(self) -> str:
        """What is written, of a single value."""
        return self.node.text if isinstance(self.node, Scalar) else ""

    @property
    def word(self) -> str | None:
        """A single value as messages spell it: a text, a number's digits, true, false; None for null."""
        if not isinstance(self.node, Scalar) or self.node.value is None:
            return None
        return str(self.node.value).lower() if isinstance(self.node.value, bool) else self.node.text

    @property
    def is_scalar(self) -> bool:
        return isinstance(self.node, Scalar)

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, Mapping)

    @property
    def is_list(self) -> bool:
        return isinstance(self.node, Sequence)

    def within(self, offset: int, length: int = 1) -> Place:
        """Of a single value the place of `length` characters at `offset`."""
        return self.node.within(offset, length) if isinstance(self.node, Scalar) else self.node.place

    def refuse(self, message: str, hint: str = "", place: Place | None = None) -> None:
        self.faults.problems.append(Problem(message, place or self.node.place, self.name, hint))

    def refuse_whole(self, message: str, hint: str = "") -> None:
        """That its keys don't go together; nothing where one of them was left out, which was told."""
        if self.faults.is_whole(self.node):
            self.refuse_key(message, hint)

    def refuse_key(self, message: str, hint: str = "") -> None:
        """As `refuse`, with the caret below the key."""
        self.refuse(message, hint, self.key.place if self.key is not None else None)

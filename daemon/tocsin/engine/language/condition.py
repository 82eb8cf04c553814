"""A compiled condition: what the engine evaluates (`tocsin.engine.rule.Condition`)."""

from datetime import datetime

from tocsin.engine.language import told
from tocsin.engine.language.evaluate import Judge, evaluator
from tocsin.engine.language.functions import FUNCTIONS
from tocsin.engine.language.tree import Call, Name, Node, text, walk
from tocsin.events import Change


class TreeCondition:
    """A checked tree and the function that evaluates it."""

    __slots__ = ("edge", "fields", "holds", "source", "timed", "tree")

    def __init__(self, tree: Node) -> None:
        parts = walk(tree)
        functions = [FUNCTIONS[part.function] for part in parts if isinstance(part, Call)]
        self.tree = tree
        self.source = text(tree)
        self.edge = any(function.edge for function in functions)
        self.timed = any(function.timed for function in functions)
        self.fields = tuple(dict.fromkeys(part.name for part in parts if isinstance(part, Name)))
        self.holds: Judge = evaluator(tree)

    def missing(self, change: Change, now: datetime) -> tuple[str, ...]:
        return told.missing(self.tree, change, now)

    def told(self, change: Change, now: datetime) -> str:
        return told.told(self.tree, change, now)

    def __repr__(self) -> str:
        return f"<{self.source}>"

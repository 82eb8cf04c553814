"""What there is to know of a function of the rule language: one `Function` each, in the table of `functions.py`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tocsin.engine.language.implementations import Fact
from tocsin.engine.language.tree import Constant, Type
from tocsin.engine.language.values import Build, Evaluate
from tocsin.events import Unit

Need: TypeAlias = Literal["history", "events", "group"]
"""What a function looks at beside the change: the entity's history, the rule's events, the group's entities."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """`written`: a constant must stand here. `alike`: of the type that the first argument has. `own`: only the entity's
    own fields, whose previous values are known. `followed`: of the entity's own fields too, and seen over time.
    `summed`: seen over the entities of a group. `check` says what is wrong with a constant, if anything.
    """

    name: str
    types: frozenset[Type]
    written: bool = False
    alike: bool = False
    own: bool = False
    followed: bool = False
    summed: bool = False
    optional: bool = False
    check: Callable[[Constant], str] | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """`example`: a condition with it. `result` None is the first argument's type. `edge`: true for a moment only. `timed`: goes
    up or down as time passes.

    `build` compiles a call. `fact` tells, for a call that came out true or false, what is so, in words. `needs`: what
    it looks at beside the change, `needs_in_time` where it is given a length. `asks_for_missing`: it has a value where its argument has none. `unit`: of the number
    that it comes to; else it is its arguments'. `words`: what people call it, `{x}` being its first argument.

    `earlier`: of the entity's state before. `chooses`: gives one of the values that it looks at, digit for digit.
    `of_events`: of the events in its time, not of the values in force. `against_past`: has no value before so much time
    has passed. `mirrors`: the higher it is, the lower is its argument. `crossing`: on which side of the limit its argument
    then is. `indexed_as`: rules are looked up by its value (it is of one field, and cheap), or by its being true, which
    is never unknown.
    """

    name: str
    example: str
    parameters: tuple[Parameter, ...]
    result: Type | None
    doc: str
    build: Callable[[Build], Evaluate]
    fact: Fact | None = None
    edge: bool = False
    timed: Literal["up", "down"] | None = None
    needs: Need | None = None
    needs_in_time: Need | None = None
    asks_for_missing: bool = False
    unit: Unit | None = None
    words: str = ""
    earlier: bool = False
    chooses: bool = False
    of_events: bool = False
    against_past: bool = False
    mirrors: bool = False
    crossing: Literal["<", ">"] | None = None
    indexed_as: Literal["key", "flag"] | None = None

    @property
    def signature(self) -> str:
        said = ""
        for parameter in self.parameters:
            name = f", {parameter.name}" if said else parameter.name
            said += f"[{name}]" if parameter.optional else name
        return f"{self.name}({said})"

    @property
    def fewest(self) -> int:
        return sum(not parameter.optional for parameter in self.parameters)

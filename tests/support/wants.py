"""Rules for benchmarks, each sayable in our language and in those of other engines; and what they are asked about."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from support.conditions import change
from tocsin.engine.rule import Rule
from tocsin.events import Change

_FIELDS = (("profit", "<", -50.5), ("profit", ">", 900.5), ("leverage", ">", 100.5), ("amount", "<", 0.25))


@dataclass(frozen=True)
class Want:
    """`symbol == … and side == … and FIELD < …`"""

    name: str
    symbol: str
    side: str
    field: str
    operator: str
    limit: float

    @property
    def parts(self) -> tuple[tuple[str, str, Any], ...]:
        return (
            ("symbol", "==", self.symbol),
            ("side", "==", self.side),
            (self.field, self.operator, self.limit),
        )

    def said(self, joint: str) -> str:
        """As an expression, with that language's word for `and`."""
        return f" {joint} ".join(
            f'{field} {operator} "{value}"' if isinstance(value, str) else f"{field} {operator} {value}"
            for field, operator, value in self.parts
        )


def symbols(count: int) -> int:
    """How many symbols so many rules are about: four rules or more for each."""
    return min(250, max(1, count // 4))


def wants(count: int) -> list[Want]:
    """One for each symbol, then another for each, then ever deeper limits: a ladder."""
    found = []
    for number in range(count):
        rung, symbol = divmod(number, symbols(count))
        depth, which = divmod(rung, len(_FIELDS))
        field, operator, limit = _FIELDS[which]
        deeper = limit / (1 + depth) if field == "amount" else limit * (1 + depth)
        found.append(Want(f"r{number}", f"S{symbol}", _side(symbol), field, operator, deeper))
    return found


def _side(symbol: int) -> str:
    return "short" if symbol % 3 == 2 else "long"


def rules(asked: list[Want]) -> list[Rule]:
    """Compiled by the rule compiler, as a file's would be."""
    from tocsin.config.yaml import load
    from tocsin.engine.compile import Environment, compile_rules

    node, problems = load(rules_text(asked), "rules.yaml")
    assert node is not None, problems
    compiled, found = compile_rules(node.get("rules"), Environment(frozenset()))
    assert not found, found[0].render()
    return list(compiled.values())


def rules_text(asked: list[Want]) -> str:
    lines = [f"  - {{id: {want.name}, watch: position, when: '{want.said('and')}'}}" for want in asked]
    return "\n".join(["rules:", *lines, ""])


@dataclass(frozen=True)
class Asked:
    """One event: as a change of ours, and as the mapping of plain values that other engines take."""

    change: Change
    plain: dict[str, Any]


def asked(count: int, among: int) -> Iterator[Asked]:
    """Positions of the symbols that so many rules are about, one in twenty of them on the ladder's first rung and on no other."""
    there = symbols(among)
    for number in range(count):
        loud = number % 20 == 8
        fields = {
            "symbol": f"S{number * 7 % there}",
            "side": _side(number * 7 % there),
            "profit": -60.5 if loud else float(number % 40) - 20.25,
            "leverage": 10.5,
            "amount": 1.5,
        }
        texts = {
            name: value if isinstance(value, str) else str(Decimal(value)) for name, value in fields.items()
        }
        seen = change("position", {"id": f"p{number}", **texts}, None, symbol=fields["symbol"])
        yield Asked(seen, fields)

"""The tables of the reference, made from the code's own: `./run docs` writes them between the marks in the pages.

A page has `<!-- made: NAME -->` before such a table and `<!-- end -->` after it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from inspect import cleandoc
from textwrap import wrap
from typing import Any, Literal, get_args, get_origin

import click
import msgspec
import yaml
from prometheus_client.core import Metric
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from support.evening import LOOKS
from support.evening import told as evening_told
from support.measured import NOW, measured, stored
from support.pages import PAGES, REFERENCE, ROOT, WIDEST
from tocsin import docs
from tocsin.actions.model import ActionSettings
from tocsin.alerts.decide import GATES, Gate, Told
from tocsin.cli import COMMANDS, cli
from tocsin.cli.venues import _written, supplied
from tocsin.config.descriptions import described, shipped_descriptions
from tocsin.config.reports import ReportSection
from tocsin.config.settings import Common
from tocsin.control.measures import Measures, RuleMeasures
from tocsin.control.metrics import families
from tocsin.delivery.model import ChannelSettings
from tocsin.engine.api import SEVERITIES
from tocsin.engine.language.functions import FUNCTIONS
from tocsin.engine.language.mapping import OPERATORS
from tocsin.engine.rule_schema import RuleConfig
from tocsin.events.kinds import KINDS
from tocsin.events.links import LINKS
from tocsin.events.vocabulary import COMMON, Field, events, fields
from tocsin.meters import Meters
from tocsin.venues.base import VenueSettings
from tocsin.venues.json.grammar import BLOCK_NAMES, BLOCKS
from tocsin.venues.registry import adapter, venue_types

_MADE = re.compile(r"(<!-- made: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(heads)
    yield _row(heads)
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield _row(cell.replace("|", r"\|") for cell in row)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def topics() -> Iterator[str]:
    return _table(
        ("topic", "what is there"),
        ((f"[{name}]({page.relative_to(ROOT)})", docs.summary(name)) for name, page in REFERENCE.items()),
    )


def commands() -> Iterator[str]:
    return _table(("command", "does"), ((f"`{_usage(name)}`", line) for name, line in COMMANDS.items()))


def _usage(name: str) -> str:
    """`tocsin replay FILES... [--against PATH]`; without what every command takes."""
    command: click.Command = import_module(f"tocsin.cli.{name}").command
    ctx = click.Context(command, info_name=name, parent=click.Context(cli, info_name="tocsin"))
    said = [f"tocsin {name}"]
    for each in command.get_params(ctx):
        if isinstance(each, click.Argument):
            said.append(each.make_metavar(ctx))
        elif isinstance(each, click.Option) and not {"--config", "--format", "--help"} & set(each.opts):
            value = (
                "N" if isinstance(each.type, click.IntRange | click.FloatRange) else each.make_metavar(ctx)
            )
            spelled = each.opts[-1] if each.is_flag else f"{each.opts[-1]} {value}"
            said.append(spelled if each.required else f"[{spelled}]")
    return " ".join(said)


def functions() -> Iterator[str]:
    return _table(
        ("function", "example", "means"),
        ((f"`{each.signature}`", f"`{each.example}`", each.doc) for each in FUNCTIONS.values()),
    )


def comparisons() -> Iterator[str]:
    return _table(
        ("comparison", "means"),
        ((f"`{name}`", operator.doc) for name, operator in OPERATORS.items()),
    )


def rule_keys() -> Iterator[str]:
    return _table(
        ("key", "example", "default", "means"),
        (
            (
                f"`{field.alias or name}`",
                f"`{_yaml((field.examples or [''])[-1])}`",
                _default(field),
                _means(field),
            )
            for name, field in RuleConfig.model_fields.items()
        ),
    )


def _yaml(value: Any) -> str:
    """As one writes it in a line of YAML."""
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()


def _means(field: FieldInfo) -> str:
    """What it is for, and its words where it takes only those."""
    return _with_words(field.description or "", _words(field.annotation))


def _with_words(said: str, words: tuple[str, ...]) -> str:
    """The description with the words that can stand there, where it doesn't name them itself."""
    told = all(re.search(rf"\b{word}\b", said) for word in words)
    return said if told else f"{said} (`{'` `'.join(words)}`)".lstrip()


def _words(hint: Any) -> tuple[str, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return next((words for inner in get_args(hint) if (words := _words(inner))), ())


def kinds() -> Iterator[str]:
    return _table(("kind", "is"), ((f"`{name}`", _about(name)) for name in KINDS))


def common_fields() -> Iterator[str]:
    return _fields(COMMON.values())


def links() -> Iterator[str]:
    return _table(
        ("read", "of"), ((f"`{link.kind}.FIELD`", ", ".join(sorted(link.of))) for link in LINKS.values())
    )


def kinds_fields() -> Iterator[str]:
    """Kind by kind: what it is, its own fields, its events."""
    for kind in KINDS:
        yield from (f"## {kind}", "", _about(kind), "")
        yield from _fields(field for name, field in fields(kind).items() if name not in COMMON)
        named = ", ".join(f"`{event}`" for event in events(kind))
        others = (
            f", and `{kind}.…` with any other word that the venue uses" if KINDS[kind].open_status else ""
        )
        yield from ("", *wrap(f"Events: {named}{others}.", WIDEST, break_on_hyphens=False), "")


def _about(kind: str) -> str:
    return (KINDS[kind].__doc__ or "").strip().partition("\n")[0]


def _fields(which: Iterable[Field]) -> Iterator[str]:
    return _table(("field", "type", "means"), ((f"`{each.name}`", each.type, _field(each)) for each in which))


def _field(field: Field) -> str:
    none = f"; none while `{field.none_when.of}` is {field.none_when.value}" if field.none_when else ""
    return _with_words(field.doc, field.values) + none


def metrics() -> Iterator[str]:
    """What `/metrics` has, but for what the client library itself puts there."""
    return _table(
        ("metric", "type", "labels", "tells"),
        (
            (
                f"`{family.name}{'_total' if family.type == 'counter' else ''}`",
                family.type,
                _labels(family),
                family.documentation,
            )
            for family in families(_with_every_label(), stored(waiting={"channel0": (1, NOW, NOW)}))
        ),
    )


def _with_every_label() -> Measures:
    counted = Meters()
    counted.venue("venue0").clock_skew = 0.0
    rules = tuple(RuleMeasures(id=word, severity=word, enabled=True, blind=False) for word in SEVERITIES)
    return msgspec.structs.replace(measured(), rules=rules, counted=counted)


def _labels(family: Metric) -> str:
    """Their names; where they have words of their own, these."""
    assert family.samples, f"of {family.name} there is no series here that has its labels"
    names = {name: None for sample in family.samples for name in sample.labels if name != "le"}
    told = []
    for name in names:
        words = {sample.labels[name]: None for sample in family.samples}
        is_theirs = name in ("venue", "channel", "rule", "action") or family.name == "tocsin_build_info"
        told.append(f"`{name}`" if is_theirs else f"`{name}`: {' '.join(words)}")
    return "; ".join(told)


def config_keys() -> Iterator[str]:
    """The sections beside venues, channels and rules, with what is in them."""
    return _table(("key", "default", "means"), _config("", Common))


def _config(above: str, model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield (f"`{above}{name}`", "", cleandoc(inner.__doc__ or ""))
            yield from _config(f"{above}{name}.", inner)
        else:
            yield (f"`{above}{name}`", _default(field), _means(field))


def channel_keys() -> Iterator[str]:
    return _table(("key", "default", "means"), _options(ChannelSettings))


def action_keys() -> Iterator[str]:
    return _table(("key", "default", "means"), _options(ActionSettings))


def report_keys() -> Iterator[str]:
    return _table(("key", "default", "means"), _options(ReportSection))


def venue_keys() -> Iterator[str]:
    return _table(("key", "default", "means"), _options(VenueSettings, without={"type"}))


def venue_types_() -> Iterator[str]:
    """Type by type: what it is, its own options, what it supplies."""
    for name in venue_types():
        found = adapter(name)
        yield from (f"## {name}", "", f"{found.summary[0].upper()}{found.summary[1:]}.", "")
        rows = _options(found.settings, without={"type"}, unlike=VenueSettings)
        yield from _table(("key", "default", "means"), rows)
        if found.settings.__doc__ and found.settings is not VenueSettings:
            for paragraph in cleandoc(found.settings.__doc__).split("\n\n"):
                yield from ("", *wrap(paragraph, WIDEST, break_on_hyphens=False))
        yield ""
        rows = ((f"`{kind}`", ", ".join(has)) for kind, has in supplied(found).items())
        if not found.supplies:
            continue
        yield from _table(("supplies", "with these fields"), rows)
        yield ""


def descriptions() -> Iterator[str]:
    """Those that are shipped: of what, what they supply, how far they were tried."""
    names = shipped_descriptions()
    yield from _table(
        ("`describe:`", "venue", "wants", "supplies", "tried with"),
        (
            (
                f"`{name}`",
                found.summary,
                ", ".join(f"`{each}`" for each in found.description.given),
                ", ".join(found.supplies),
                found.description.tried,
            )
            for name, found in ((name, described(name)) for name in names)
        ),
    )


def description_keys() -> Iterator[str]:
    """Block by block, what may stand in it."""
    for name, keys in BLOCKS.items():
        yield from (f"### {BLOCK_NAMES[name]}", "")
        rows = ((f"`{key}`", "yes" if each.needed else "", each.doc) for key, each in keys.items())
        yield from _table(("key", "needed", "means"), rows)
        yield ""


def _options(
    model: type[BaseModel], *, without: set[str] = frozenset(), unlike: type[BaseModel] | None = None
) -> Iterator[tuple[str, str, str]]:
    """Key, default, what it means; only those that aren't as in `unlike`."""
    known = unlike.model_fields if unlike else {}
    for name, field in model.model_fields.items():
        as_known = name in known and _default(field) == _default(known[name])
        if name not in without and not as_known:
            said = _means(field) or (_means(known[name]) if name in known else "")
            yield (f"`{name}`", _default(field), said)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    return "" if value in (None, "", {}, ()) else f"`{_written(field)}`"


_TOLD: tuple[Told, ...] = ("firing", "event", "reminder", "resolved")


def gates() -> Iterator[str]:
    """What each gate of an alert does to each sort of message; one that the engine has does nothing but that."""

    def row(gate: Gate) -> Iterator[str]:
        yield f"`{gate.key}`" if gate.key in RuleConfig.model_fields else gate.key
        for told in _TOLD:
            done = gate.does.get(told, "–" if gate.by_engine else "told")
            yield "not raised" if gate.key in ("enabled", "active") and done == "dropped" else done

    return _table(("shut by", *_TOLD), map(row, GATES))


def evening(look: str) -> Iterator[str]:
    """What the phones showed at a look of the night."""
    yield from ("```text", evening_told()[0][look], "```")


def evening_in_short() -> Iterator[str]:
    yield from ("```text", *evening_told()[1], "```")


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "topics": topics,
    "commands": commands,
    "functions": functions,
    "comparisons": comparisons,
    "rule_keys": rule_keys,
    "gates": gates,
    "kinds": kinds,
    "common_fields": common_fields,
    "links": links,
    "kinds_fields": kinds_fields,
    "metrics": metrics,
    "config_keys": config_keys,
    "action_keys": action_keys,
    "report_keys": report_keys,
    "channel_keys": channel_keys,
    "venue_keys": venue_keys,
    "venue_types": venue_types_,
    "descriptions": descriptions,
    "description_keys": description_keys,
}


# What a night brings takes seconds and sockets.
NIGHT: dict[str, Callable[[], Iterator[str]]] = {
    "evening": evening_in_short,
    **{f"evening_{look}": partial(evening, look) for look in LOOKS},
}


def with_tables(text: str, tables: Mapping[str, Callable[[], Iterator[str]]] = TABLES) -> str:
    """The page with each of these tables as the code has it now."""

    def made(mark: re.Match[str]) -> str:
        if mark["name"] not in tables:
            return mark[0]
        table = "\n".join(tables[mark["name"]]()).strip()
        return f"{mark[1]}{table}\n{mark[3]}"

    return _MADE.sub(made, text)


def names_in(text: str) -> list[str]:
    """The tables that a page has."""
    return [mark["name"] for mark in _MADE.finditer(text)]


if __name__ == "__main__":
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        if (after := with_tables(before, TABLES | NIGHT)) != before:
            page.write_text(after, encoding="utf-8")
            click.echo(f"written: {page.relative_to(ROOT)}")

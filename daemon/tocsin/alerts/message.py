"""What a message says when the rule has no words of its own: what, where, how much, since when. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct, field

from tocsin.alerts.plain import plain
from tocsin.engine.model import Context
from tocsin.quantities import duration_text

LATE = timedelta(seconds=10)  # what goes out later than that says by how much

# What of an entity a person wants to read first, in this order, beside what the message says anyway.
_SHOWN: Mapping[str, tuple[str, ...]] = {
    "order": (
        "order_type", "status", "venue_status", "amount", "filled", "remaining", "price", "stop_price", "average",
        "cost", "currency", "stop_loss", "take_profit", "power", "energy", "delivery_start", "delivery_end", "location",
    ),
    "position": (
        "status", "amount", "entry_price", "mark_price", "profit", "currency", "stop_loss", "take_profit", "commission", "swap",
    ),
    "account": ("currency", "balance", "equity", "margin", "margin_level", "stop_out_level", "result", "buying_power", "withdrawable"),
    "balance": ("change", "cause", "comment", "available", "locked", "total"),
    "trade": ("side", "price", "amount", "cost", "power", "energy", "delivery_start", "delivery_end", "location"),
    "ticker": ("price", "last", "bid", "ask", "spread", "currency", "high", "low", "volume"),
    "book": (
        "bid", "bid_size", "ask", "ask_size", "spread", "price", "power", "energy", "delivery_start", "delivery_end", "location",
    ),
    "contract": (
        "status", "verification_status", "settlement_status", "side", "price", "power", "energy", "delivery_start",
        "delivery_end", "location", "order_id",
    ),
    "venue": ("status", "reason", "since", "last_message", "attempts", "unconfirmed"),
    "daemon": ("subject",),
}  # fmt: skip
_MOST_TOGETHER = 20
_UNINTERESTING_ZERO = frozenset({"attempts", "unconfirmed"})
_MOST_MEMBERS = 5
_LONGEST_REASON = 60  # characters, in a title
_TIMES = frozenset({"delivery_start", "delivery_end", "since", "last_message"})


class Names(Struct, frozen=True):
    """The names that people use: venue's account id or symbol -> name. Missing ones stay as the venue has them."""

    accounts: Mapping[str, str] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)

    def account(self, account: str) -> str:
        name = self.accounts.get(account)
        return f"{name} ({plain(account)})" if name else plain(account)

    def symbol(self, symbol: str) -> str:
        name = self.symbols.get(symbol)
        return f"{name} ({plain(symbol)})" if name else plain(symbol)

    def short_symbol(self, symbol: str) -> str:
        return self.symbols.get(symbol) or plain(symbol)


def time_text(time: datetime) -> str:
    """A time as it is shown: to the second, in UTC, saying so."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def late_by(context: Context, now: datetime) -> timedelta:
    """How late a message goes out: zero up to `LATE`. What a gap hid is late from when it happened."""
    since = min(context.time, context.at) if context.origin == "resync" else context.at
    late = now - since
    return late if late > LATE else timedelta(0)


def state_line(context: Context) -> str:
    """The state, the event or condition in the vocabulary's words, and the reason: what no template can leave out."""
    what = ", ".join(filter(None, (context.event, plain(context.condition))))
    line = f"{context.state}: {what}" if what else str(context.state)
    return f"{line} ({plain(context.reason)})" if context.reason else line


def default_title(context: Context, names: Names) -> str:
    """One line that says it all on a locked phone."""
    loud = f"{context.severity}, " if context.severity == "critical" else ""
    what = context.event or plain(context.condition)
    if context.state == "resolved" and context.value is not None:
        what = f"{context.value_of} is {context.value}"  # not the value of then: what is so now
    elif not what:
        what = context.rule
    if context.state == "resolved" and context.reason:
        what += f" ({plain(context.reason, _LONGEST_REASON)})"
    nowhere = context.kind in ("venue", "daemon") or not context.venue
    where = "" if nowhere else f" on {plain(context.venue)}"
    thing = _thing(context, names)
    return f"{loud}{context.state}: {what}, {thing}{where}"


def default_body(
    context: Context, names: Names, *, late: timedelta = timedelta(0), notes: Sequence[str] = ()
) -> str:
    """The whole story, a fact a line. `notes` are the outbox's own remarks, first because they change the meaning."""
    lines = [
        state_line(context),
        *notes,
        f"what: {_what(context, names)}",
        _details(context) if context.group is None else "",
        f"where: {_where(context, names)}",
        _values(context),
        _when(context),
        *circumstances(context, late),
        f"rule: {context.rule}, {context.severity}",
    ]
    return "\n".join(line for line in lines if line)


def circumstances(context: Context, late: timedelta) -> list[str]:
    """What a reader must know to judge the message, whatever words the rule has for it."""
    lines = []
    if context.unconfirmed_since is not None:
        lines.append(f"not confirmed since {time_text(context.unconfirmed_since)}: the venue was away")
    if context.missing:
        lines.append(f"not known: {', '.join(context.missing)}; told to be on the safe side")
    if context.left_out:
        more = context.left_out_count - len(context.left_out)
        named = ", ".join(map(plain, context.left_out)) + (f" and {more} more" if more > 0 else "")
        lines.append(f"left out, for they have no value: {named}")
    if context.suppressed:
        lines.append(f"held back since the last message: {context.suppressed}")
    lines += [f"  and {title}" for title in context.together[:_MOST_TOGETHER]]
    if len(context.together) > _MOST_TOGETHER:
        lines.append(f"  and {len(context.together) - _MOST_TOGETHER} more")
    if context.origin == "resync":
        lines.append("found after a gap: it happened while the connection was away")
    if late:
        lines.append(f"late by {duration_text(late)}")
    return lines


def _thing(context: Context, names: Names) -> str:
    if context.group is not None:
        return _group(context.kind, context.group, names)
    side = plain(str(context.fields.get("side") or ""))
    symbol = names.short_symbol(context.symbol) if context.symbol else ""
    match context.kind:
        case "position":
            words = [symbol or f"position {plain(context.entity)}", side]
        case "order":
            words = [symbol, side, "order" if symbol else f"order {plain(context.entity)}"]
        case "account":
            words = ["account", names.accounts.get(context.entity) or plain(context.entity)]
        case "contract":
            words = ["contract", plain(context.entity)]
        case "daemon":
            words = ["tocsin", plain(str(context.fields.get("subject") or ""))]
        case _:
            words = [symbol or plain(context.entity)]
    return " ".join(filter(None, words))


def _group(kind: str, per: Mapping[str, str | None], names: Names) -> str:
    """`positions of account demo`, `orders in BTCUSD`, `all tickers`."""
    words = [f"{kind}s"]
    for name, value in per.items():
        if name == "account":
            words.append(f"of account {names.accounts.get(value or '') or plain(value or '')}")
        elif name in ("symbol", "id"):
            words.append(f"in {names.short_symbol(value or '')}" if name == "symbol" else plain(value or ""))
    return " ".join(words) if len(words) > 1 or per.get("venue") else f"all {kind}s"


def _members(context: Context, names: Names) -> str:
    """How many take part, and the first of them with what is put together: those that have the least of it."""
    number = _inside(context.value_of)
    shown = []
    for member in context.members[:_MOST_MEMBERS]:
        symbol, id_ = member.get("symbol"), plain(str(member.get("id") or ""))
        called = f"{names.short_symbol(str(symbol))} {id_}" if symbol and symbol != id_ else id_
        value = member.get(number or "")
        shown.append(f"{called} {plain(str(value))}" if value is not None else called)
    more = context.member_count - len(shown)
    listed = ", ".join(shown) + (f" and {more} more" if more > 0 and shown else "")
    return f"members: {context.member_count}" + (f" ({listed})" if listed else "")


def _inside(value_of: str | None) -> str | None:
    """`profit` of `sum(profit)`."""
    return value_of.partition("(")[2].removesuffix(")") if value_of else None


def _what(context: Context, names: Names) -> str:
    if context.group is not None:
        return f"{_group(context.kind, context.group, names)}\n{_members(context, names)}"
    words = [f"{context.kind} {plain(context.entity)}"]
    if context.symbol and context.symbol != context.entity:
        words.append(names.symbol(context.symbol))
    elif context.symbol and context.symbol in names.symbols:
        words.append(names.symbols[context.symbol])
    side = context.fields.get("side")
    return ", ".join(words) + (f" {plain(str(side))}" if side else "")


def _details(context: Context) -> str:
    shown = []
    for name in _SHOWN.get(context.kind, ()):
        value = context.fields.get(name)
        if value is None or name == context.value_of or (name in _UNINTERESTING_ZERO and value == "0"):
            continue
        shown.append(f"{name} {_value_text(name, value)}")
    return "  " + ", ".join(shown) if shown else ""


def _value_text(name: str, value: object) -> str:
    if name in _TIMES:
        try:
            return time_text(datetime.fromisoformat(str(value)))
        except ValueError:
            return plain(str(value))
    return f"{plain(str(value))} W" if name == "power" else plain(str(value))


def _where(context: Context, names: Names) -> str:
    venue = plain(context.venue)
    if not venue:
        return "all venues"
    if not context.account:
        return venue
    return f"{venue}, account {names.account(context.account)}"


def _values(context: Context) -> str:
    """`profit is -39 USD; worst -75, at start -60`: what is so now comes first."""
    if context.value_of is None or context.value is None:
        return ""
    money = context.fields.get("currency")
    in_money = (context.value_of if context.group is None else _inside(context.value_of)) in (
        "profit",
        "balance",
        "equity",
        "margin",
        "cost",
        "commission",
        "swap",
    )
    unit = f" {plain(str(money))}" if money and in_money else ""
    line = f"{context.value_of}: {context.value}{unit}"
    lived = context.event is None and (context.state != "firing" or context.value != context.value_at_start)
    if not lived:
        return line
    past = [
        f"{word} {value}"
        for word, value in (("worst", context.worst), ("at start", context.value_at_start))
        if value is not None
    ]
    now = " now" if context.state == "resolved" else ""
    return f"{line}{now}, {', '.join(past)}" if past else f"{line}{now}"


def _when(context: Context) -> str:
    if context.event is not None:
        return f"when: {time_text(context.time)}"
    lasted = max(context.at - context.started_at, timedelta(0))
    if context.state == "resolved":
        return f"lasted: {duration_text(lasted)}, from {time_text(context.started_at)} to {time_text(context.at)}"
    return f"since: {time_text(context.started_at)}" + (f", for {duration_text(lasted)}" if lasted else "")

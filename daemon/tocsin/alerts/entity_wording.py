"""What an alert is about, in words: the order, position, account … or the group of them, and where that is. Pure."""

from collections.abc import Callable, Mapping

from tocsin.alerts.plain import plain
from tocsin.alerts.wording import Style, field_text, number_shown, of_member, unit_text, value_and_unit
from tocsin.engine.api import AlertContext

_MOST_MEMBERS = 5


def what(context: AlertContext, style: Style) -> str:
    """What it is about, with what of it matters: `BTCUSD buy 1 at 60000, 0.5 filled`."""
    if context.group is not None:
        return _group(context, style)
    return _WHAT.get(context.kind, _plain_thing)(context, style)


def thing_text(context: AlertContext, style: Style) -> str:
    """What a state is of, without the number that the title begins with."""
    if context.group is not None:
        return _group(context, style)
    match context.kind:
        case "account":
            return (context.value_of or "account").replace("_", " ")
        case "order":
            return _order(context, style)
        case "position":
            return _symbol_and_side(context, style)
        case "contract":
            return _contract(context, style)
        case _:
            return _plain_thing(context, style)


def what_line(context: AlertContext, style: Style) -> str:
    """`order 4711, BTCUSD buy`: the body's line, with the ids. Empty where it is the venue or the account that `where_line` names."""
    if context.group is not None:
        return _group(context, style)
    if context.kind == "daemon" or context.entity in (context.account, context.venue):
        return ""  # it is where it is
    words = [f"{context.kind} {style.id(context.entity)}"]
    side = _text(context, "side")
    symbol = context.symbol or ""
    if symbol and style.names.symbol(symbol):
        words.append(f"{style.symbol(symbol)} ({style.id(symbol)})")
    elif symbol and symbol != context.entity:
        words.append(plain(symbol))
    return ", ".join(words) + (f" {side}" if side else "")


def _group(context: AlertContext, style: Style) -> str:
    """`positions`, `orders in BTCUSD`; the account and the venue are said elsewhere."""
    per = context.group or {}
    symbol, id_ = per.get("symbol"), per.get("id")
    words = [f"{context.kind}s"]
    if symbol:
        words.append(f"in {style.symbol(symbol)}")
    if id_:
        words.append(style.id(id_))
    return " ".join(words if per else ["all", *words])


def members_text(context: AlertContext, style: Style) -> str:
    """How many take part, and the first of them with what is put together: those that have the least of it.

    Empty of a group that is over with its last.
    """
    if not context.member_count:
        return ""
    number = of_member(context.value_of or "")
    shown = []
    for member in context.members[:_MOST_MEMBERS]:
        symbol, id_ = member.get("symbol"), str(member.get("id") or "")
        called = f"{style.symbol(str(symbol))} {style.id(id_)}" if symbol and symbol != id_ else style.id(id_)
        value = member.get(number)
        if value is not None:
            called += f" {number_shown(str(value), number, derived=number in member.get('derived', ()))}"
        shown.append(called)
    more = context.member_count - len(shown)
    listed = ", ".join(shown) + (f" and {more} more" if more > 0 and shown else "")
    return f"members: {context.member_count}" + (f" ({listed})" if listed else "")


def where(context: AlertContext, style: Style) -> str:
    """`fx Main`: the venue and the account, by the names that people use."""
    if not context.venue:
        return "all venues"
    account = style.account(context.account) if context.account else ""
    return " ".join(filter(None, (plain(context.venue), account)))


def where_line(context: AlertContext, style: Style) -> str:
    """`where: fx, account Main (4711)`: the body's line."""
    place = plain(context.venue) or "all venues"
    account = f", account {style.account_and_id(context.account)}" if context.account else ""
    return f"where: {place}{account}"


# ----------------------------------------------------------------------------------------------------- kind by kind


def _symbol_and_side(context: AlertContext, style: Style) -> str:
    name = style.symbol(context.symbol) if context.symbol else f"{context.kind} {style.id(context.entity)}"
    return f"{name} {_text(context, 'side')}".strip()


def _order(context: AlertContext, style: Style) -> str:
    done = context.event in ("order.filled", "order.partially_filled")
    filled = _size(context, "filled")
    amount = (filled if done else "") or _size(context, "amount") or _power(context)
    price = (_first(context, "average") if done else "") or _first(context, "price", "stop_price", "average")
    of_it = f", {filled} filled" if filled and not done else ""
    return f"{_symbol_and_side(context, style)}{_sized(amount, price)}{of_it}"


def _position(context: AlertContext, style: Style) -> str:
    thing, over = _symbol_and_side(context, style), context.fields.get("status") == "closed"
    amount = _size(context, "amount")
    if not over:
        return f"{thing}{_sized(amount, _first(context, 'entry_price'))}"
    profit = field_text(context, "profit", padded=True)
    profit = f" {profit}{unit_text(context, 'profit')}" if profit is not None else ""
    sized = _sized(amount, _first(context, "mark_price"))
    return f"{thing}{profit}{',' if profit and sized else ''}{sized}"


def _balance(context: AlertContext, style: Style) -> str:
    asset = style.symbol(str(context.fields.get("asset") or context.entity))
    change, total = _first(context, "change"), _first(context, "total", "available")
    if not change:
        return f"{total} {asset}".strip()
    return f"{change} {asset}" + (f", {total} left" if total else "")


def _account(context: AlertContext, style: Style) -> str:
    del style
    number = value_and_unit(context, context.value)
    return f"{(context.value_of or 'account').replace('_', ' ')} {number}".strip()


def _traded(context: AlertContext, style: Style) -> str:
    amount = _size(context, "amount") or _power(context)
    return f"{_symbol_and_side(context, style)}{_sized(amount, _first(context, 'price'))}"


def _contract(context: AlertContext, style: Style) -> str:
    side = _text(context, "side")
    sized = _sized(_power(context) or _size(context, "energy"), _first(context, "price"))
    return " ".join(filter(None, (style.id(context.entity), side))) + sized


def _daemon(context: AlertContext, style: Style) -> str:
    del style
    return _text(context, "subject") or plain(context.entity)


def _plain_thing(context: AlertContext, style: Style) -> str:
    return style.symbol(context.symbol) if context.symbol else style.id(context.entity)


_WHAT: Mapping[str, Callable[[AlertContext, Style], str]] = {
    "order": _order,
    "position": _position,
    "account": _account,
    "balance": _balance,
    "trade": _traded,
    "book": _traded,
    "contract": _contract,
    "daemon": _daemon,
}


def _text(context: AlertContext, name: str) -> str:
    return plain(str(context.fields.get(name) or ""))


def _first(context: AlertContext, *names: str) -> str:
    """The first of these numbers that has a value."""
    return next((text for name in names if (text := field_text(context, name)) is not None), "")


def _size(context: AlertContext, name: str) -> str:
    """A number that is worth saying: not a zero."""
    text = field_text(context, name) or ""
    return text if text.strip("-+0.eE") else ""


def _power(context: AlertContext) -> str:
    power = _first(context, "power")
    return f"{power} W" if power else ""


def _sized(amount: str, price: str) -> str:
    return (f" {amount}" if amount else "") + (f" at {price}" if price else "")

"""What messages that wait would say if they were sent now, for whoever asks."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from tocsin.alerts.wording import Style
from tocsin.delivery.render import render
from tocsin.delivery.templates import Render
from tocsin.engine.model import Context

_MOST = 100  # of which users' templates are rendered; those of the rest aren't waited for


async def preview(
    rows: Sequence[dict[str, Any]], style: Callable[[str, int], Style], now: datetime, make: Render
) -> None:
    """Give those of the rows of `Reader.deliveries` that wait their present title and rule, and take their contexts away.

    `style` is of a channel's URL, by its name and number; `make` renders. A context that can't be read leaves the row as
    it is.
    """
    waiting = 0
    for row in rows:
        try:
            context = msgspec.json.decode(row.pop("context", None) or "null", type=Context | None)
        except ValueError:
            continue
        if context is None:
            continue
        waiting += 1
        if waiting > _MOST:
            context = msgspec.structs.replace(context, title=None, message=None)
        draft = partial(render, context, style(row["channel"], row["target"]), delivery_id=row["id"], now=now)
        row["title"], row["rule"] = (await make(draft)).title, context.rule

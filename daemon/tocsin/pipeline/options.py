"""What of the config the pipeline needs."""

from datetime import timedelta
from typing import Literal

from msgspec import Struct

from tocsin.alerts.decide import Routing
from tocsin.alerts.wording import Style


class Targets(Struct, frozen=True):
    """A channel as the pipeline needs it: how many URLs it has, and when its messages expire."""

    count: int
    expire: timedelta


class Options(Struct, frozen=True, kw_only=True):
    """What of the config the pipeline needs; replaced whole by a reload."""

    routing: Routing
    targets: dict[str, Targets]
    style: Style
    market_data: Literal["none", "changes", "all"] = "none"

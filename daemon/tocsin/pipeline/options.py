"""What of the config the pipeline needs."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from tocsin.actions.model import ActionSettings
from tocsin.alerts.decide import Routing
from tocsin.alerts.wording import Style


class Targets(Struct, frozen=True):
    """A channel as the pipeline needs it: how many URLs it has, when its messages expire, and below which URLs' messages (by their
    numbers) somebody may press buttons.
    """

    count: int
    expire: timedelta
    pressable: tuple[int, ...] = ()


class Options(Struct, frozen=True, kw_only=True):
    """What of the config the pipeline needs; replaced whole by a reload."""

    routing: Routing
    targets: dict[str, Targets]
    style: Style
    actions: Mapping[str, ActionSettings] = MappingProxyType({})
    market_data: Literal["none", "changes", "all"] = "none"

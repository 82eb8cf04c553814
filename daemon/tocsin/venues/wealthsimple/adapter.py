"""Wealthsimple, a stock broker: each connection gives one snapshot of accounts and prices, then the server closes.

Unofficial; documented at github bufutda/wealthsimple-api. The feed connects again every `poll`; sign-in is in
`auth.py`, and `tocsin login` uses `log_in` here.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, model_validator

from tocsin.quantities import Duration, SecretText
from tocsin.secrets import Secret
from tocsin.venues import web
from tocsin.venues.base import Adapter, Decoded, Endpoint, Session, SignIn, VenueSettings
from tocsin.venues.wealthsimple import auth
from tocsin.venues.wealthsimple.messages import decode


def _some_time(poll: timedelta) -> timedelta:
    if poll <= timedelta(0):
        raise ValueError("must be longer than nothing, such as 60s")
    return poll


class WealthsimpleSettings(VenueSettings):
    """One of `access_token`, `refresh_token` and a login stored by `tocsin login`; `client_id` goes with the latter two."""

    url: str = "wss://trade-service.wealthsimple.com/websocket"
    ticket_url: str = "https://trade-service.wealthsimple.com/websocket-ticket"
    token_url: str = "https://api.production.wealthsimple.com/v1/oauth/v2/token"  # noqa: S105 - where tokens are had
    access_token: SecretText | None = None
    refresh_token: SecretText | None = None
    client_id: SecretText | None = None
    poll: Annotated[Duration, AfterValidator(_some_time)] = timedelta(seconds=60)

    @model_validator(mode="after")
    def _one_token(self) -> "WealthsimpleSettings":
        if self.access_token is not None and self.refresh_token is not None:
            raise ValueError("give either access_token or refresh_token")
        if self.refresh_token is not None and self.client_id is None:
            raise ValueError("refresh_token needs the client_id that it was given to")
        return self

    @property
    def credentials(self) -> auth.Credentials:
        return auth.Credentials(
            token_url=self.token_url,
            ticket_url=self.ticket_url,
            client_id=self.client_id,
            access_token=self.access_token,
            refresh_token=self.refresh_token,
        )


class Wealthsimple(Adapter):
    name = "wealthsimple"
    summary = "stock broker: accounts, pending orders and prices, polled"
    settings: type[VenueSettings] = WealthsimpleSettings
    polled = True
    supplies: Mapping[str, frozenset[str]] = {
        "account": frozenset(
            {"id", "currency", "balance", "buying_power", "withdrawable", "net_deposits", "result", "performance"}
        ),
        "order": frozenset(
            {
                "id", "symbol", "side", "order_type", "status", "venue_status", "time_in_force", "price", "stop_price",
                "amount", "filled", "remaining", "currency", "reason", "created", "updated",
            }
        ),
        "ticker": frozenset(
            {
                "id", "symbol", "bid", "ask", "bid_size", "ask_size", "last", "open", "high", "low", "volume",
                "currency", "spread", "price",
            }
        ),
    }  # fmt: skip

    def sign_in(self, settings: WealthsimpleSettings, kept: Mapping[str, str], now: datetime) -> SignIn:
        """Asked for before every connection: a ticket is good for one."""
        return auth.sign_in(settings.credentials, kept, now)

    def log_in(
        self,
        settings: WealthsimpleSettings,
        username: str,
        password: Secret,
        now: datetime,
        one_time: auth.OneTimePassword | None = None,
    ) -> SignIn:
        """What `tocsin login` does: the password's tokens, kept for `sign_in`. Never done by the daemon.

        Raises OneTimePasswordNeeded where the venue wants one; call again with its claim and the user's code.
        """
        return auth.log_in(settings.credentials, username, password, now, one_time)

    def endpoints(self, settings: WealthsimpleSettings, session: Session) -> tuple[Endpoint, ...]:
        url = web.with_query(settings.url, {"ticket": session.values["ticket"], "version": "2"})
        return (Endpoint(name="cycle", url=url, headers=settings.headers, origin=settings.origin),)

    def decode(self, message: str, received: datetime) -> Decoded:
        del received
        return decode(message)


ADAPTER = Wealthsimple()

"""The page, as the daemon runs it: the listener with all that is served over TCP, and what the command `tocsin page` asks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from tocsin.config.listening import address_of
from tocsin.config.settings import Settings
from tocsin.control.serving import TcpPort
from tocsin.page.access import Access
from tocsin.page.addresses import Addresses
from tocsin.page.app import make_page_app
from tocsin.page.screen import Host as PageHost
from tocsin.page.signing_in import LINK_LASTS
from tocsin.page.who import LOGIN
from tocsin.secrets import Secret

_DRY = "a dry run serves no page"
_NO_LISTEN = "nothing is served over TCP: the config has no `listen`"
_HOW = "write listen: {address: 127.0.0.1:8080} into the config, then: tocsin reload"


def tokens_of(settings: Settings) -> dict[str, Secret]:
    """Of the people who may sign in by themselves the tokens."""
    return {name: person.token for name, person in settings.people.items() if person.token is not None}


class PageListener:
    """`settings` gives the config as it is now; `trouble` is told why nobody can listen there. `log` is a structlog logger."""

    def __init__(
        self,
        host: PageHost,
        access: Access,
        database: Path,
        settings: Callable[[], Settings],
        log: Any,
        *,
        dry_run: bool,
    ) -> None:
        self._host, self._access, self._database = host, access, database
        self._now, self._log, self._dry_run = settings, log, dry_run
        self._deaf = ""  # why nobody listens
        self._port: TcpPort | None = None

    @property
    def wanted(self) -> bool:
        """Whether anything is to be served."""
        return self._now().listen is not None and not self._dry_run

    def end(self) -> None:
        """Nobody runs it any more: its port, which it keeps over a crash until it is begun anew, may be somebody else's."""
        if self._port is not None:
            self._port.let_go()

    async def run(self) -> None:
        """Serves it for ever; a port that somebody else has is told, and tried again."""
        listen = self._now().listen
        assert listen is not None  # noqa: S101  else it isn't wanted
        address = address_of(listen.address)
        app = make_page_app(
            self._host,
            self._database,
            self._log,
            access=self._access,
            addresses=Addresses(listen, address),
            metrics=listen.metrics,
        )
        if self._port is None or self._port.address != address:
            if self._port is not None:
                self._port.let_go()
            self._port = TcpPort(address, self._log, self._trouble)
        async with trio.open_nursery() as nursery:
            await nursery.start(self._port.serve, app)
            self._deaf = ""

    async def _trouble(self, reason: str) -> None:
        self._deaf = reason
        self._log.error("nobody can listen there", reason=reason)
        told = (
            f"listen: nobody can look at the page or ask for metrics over TCP, which is tried again: {reason}"
        )
        await self._host.tell("daemon.degraded", told, subject="listen")

    def link(self, person: str) -> dict[str, Any]:
        """As of `Controlled.page_link`."""
        listen = self._now().listen
        if self._dry_run:
            return {"error": _DRY, "remedy": "ask the daemon that really runs"}
        if listen is None:
            return {"error": _NO_LISTEN, "remedy": _HOW}
        addresses = Addresses(listen, address_of(listen.address))
        path = f"{LOGIN}?link={self._access.links.make(person)}"
        self._log.info("made a link to the page", by=person)
        remark = f"nobody can listen there yet, which is tried again: {self._deaf}" if self._deaf else ""
        return {"link": addresses.link(path), "lasts": LINK_LASTS, "remark": remark}

    async def sign_out(self, person: str | None) -> dict[str, Any]:
        """As of `Controlled.page_sign_out`."""
        signed_in = self._access.sessions.people()
        ended = self._access.sessions.end_all(person)
        kept = await self._access.sessions.kept()
        return {"ended": ended, "signed_in": signed_in, "kept": kept}

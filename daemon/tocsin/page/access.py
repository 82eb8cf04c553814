"""Who may see the page, for as long as the daemon lives: sessions, links that sign in once, and what was tried in vain."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from tocsin.page.sessions import Keeper, Sessions
from tocsin.page.signing_in import Links, Tries
from tocsin.secrets import Secret
from tocsin.store.model import SessionRow


class Access:
    """`kept` are the sessions of the last run, `tokens` gives people's tokens as the config is now; `keeper` is what sessions
    are written into. `log` is a structlog logger.
    """

    def __init__(
        self,
        kept: Iterable[SessionRow],
        tokens: Callable[[], Mapping[str, Secret]],
        now: Callable[[], datetime],
        keeper: Keeper,
        log: Any,
    ) -> None:
        self.tokens, self.log = tokens, log
        self.sessions = Sessions(kept, tokens, now, keeper, log)
        self.links = Links()
        self.logins, self.bearers = Tries("form", log), Tries("token", log)
        self.probers = Tries("token at /healthz", log)

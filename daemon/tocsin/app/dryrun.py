"""`tocsin run --dry-run`: everything but the sending, on a copy of the state."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from tocsin.delivery.model import Handle, Message, Outcome, Sender
from tocsin.store import rows
from tocsin.store.store import DATABASE


class DrySender(Sender):
    """Says what would have been sent. The delivery then counts as sent."""

    def __init__(self, name: str, log: Any) -> None:
        self.name = name
        self._log = log

    async def send(self, message: Message, handle: Handle | None = None) -> Outcome:  # noqa: ARG002 - it has none
        self._log.info("dry run: not sent", channel=self.name, title=message.title, body=message.body)
        return Outcome(sent=True, answer="dry run: not sent")


@contextmanager
def copied_state(state_dir: Path) -> Iterator[Path]:
    """A state directory to play with, gone afterwards: what counts as sent there is still to be sent here.

    Sign-ins are shared with the real one: a refresh token can be used only once. Raises sqlite3.Error.
    """
    with tempfile.TemporaryDirectory(prefix="tocsin-dry-run-") as folder:
        copy = Path(folder)
        if (state_dir / DATABASE).exists():
            real = sqlite3.connect(f"{(state_dir / DATABASE).absolute().as_uri()}?mode=ro", uri=True)
            with closing(real), closing(sqlite3.connect(copy / DATABASE)) as played:
                real.backup(played)
                # Such a copy is whole, also of a database that is open.
                with suppress(
                    sqlite3.OperationalError
                ):  # a database that no daemon has opened yet has no such table
                    played.execute(rows.DROP_META, [rows.OPENED_AT])
                    played.commit()
        credentials = state_dir / "credentials"
        if credentials.is_dir():
            (copy / "credentials").symlink_to(credentials.absolute())
        yield copy

"""What one URL of a channel raises for the rules: events of the daemon's own, about that channel."""

from collections.abc import Awaitable, Callable, Mapping

from tocsin.delivery.channel_state import Notes
from tocsin.delivery.timing import RunClock
from tocsin.events import Daemon, Occurrence

CHAT = "telegram_chat "  # the beginning of a note's key; a chat's former id follows


class ChannelEvents:
    """`tell` takes what is raised; of `daemon.delivery_failed` the subject is the channel that it must not be told on.

    `notes` keeps present ids of chats under `CHAT` and their former ones.
    """

    def __init__(
        self, channel: str, tell: Callable[[Occurrence], Awaitable[None]], notes: Notes, time: RunClock
    ) -> None:
        self._channel, self._tell, self._notes, self._time = channel, tell, notes, time

    async def say(self, event: str, reason: str) -> None:
        """Raise `daemon.EVENT`."""
        state = Daemon(id=self._channel, subject=self._channel, reason=reason)
        await self._tell(
            Occurrence(state=state, event=f"daemon.{event}", origin="synthetic", time=self._time.now().wall)
        )

    async def chats_moved(self, moved: Mapping[str, str]) -> None:
        """Keep the new id of each chat that has one, by its former one, and raise `daemon.degraded` for it."""
        for old_id, new_id in moved.items():
            self._notes.set(f"{CHAT}{old_id}", new_id)
            reason = (
                f"a Telegram group of channel {self._channel} has become a supergroup, and messages go there; in the "
                f"config, put its new id into the channel's URL: tgram://…/{new_id}"
            )
            await self.say("degraded", reason)

"""What people press and write to a Telegram bot, done: one long poll a bot, whatever channels use it.

Who may is in the config: `people` by their ids at Telegram, and a channel's `answers`. User and chat must both be right.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NoReturn

import msgspec
import trio

from tocsin.alerts.plain import NOT_KEPT
from tocsin.alerts.silences import holds_at, matchers_of
from tocsin.alerts.wording import Times, time_text
from tocsin.app.acts import LiveActs
from tocsin.clock import Clock
from tocsin.config.settings import Settings
from tocsin.delivery.buttons import ACK, ACK_ALL, NO, SILENCES, TEST, UNACK, WANT, WHY, YES
from tocsin.delivery.channel_state import Notes
from tocsin.delivery.model import Message
from tocsin.delivery.senders import telegram_bot
from tocsin.delivery.telegram_updates import TelegramUpdates, Update, updates_in
from tocsin.delivery.web_api import Answer
from tocsin.engine.api import AlertContext
from tocsin.events import from_iso
from tocsin.meters import Answer as AnswerKind
from tocsin.meters import AnswerMeters
from tocsin.pipeline.acts import By, Target
from tocsin.pipeline.questions import Wish
from tocsin.quantities import parse_duration
from tocsin.secrets import Secret
from tocsin.store.database import Database
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Batch, ButtonRow
from tocsin.store.reader import Reader

OFFSET = "telegram_offset "  # the beginning of a note's key; the bot's id follows
_PROMPT = 1.5  # seconds until somebody who pressed hears something, whatever it is
_FIRST_REST, _LONGEST_REST = 1.0, 60.0  # seconds after a poll that failed
_REFUSED = frozenset({401, 404})  # there is no such bot
_CONFLICT = 409
_DEAF = 15.0  # seconds without a poll
_AT_ONCE = 2.0  # seconds within which a poll is answered that finds something waiting
_MOST_STRANGERS = 1000  # that are remembered, to be logged once
_MOST_LISTED = 20
_DEAF_AFTER = timedelta(minutes=1)  # nothing heard for so long needs attention
_VIA = "telegram"
_HOLDS: Mapping[bool | None, str] = {True: "yes", False: "no", None: "unknown"}

_NOT_ALLOWED = "not allowed"
_NOT_KNOWN = "this button has done its work, or is not known"
_OVER = "the alert is over"
_A_TEST = "this was a test: it works, and you may answer here"
_TOO_OLD = "this button is older than a day; see tocsin alerts"
_SLOW = "that takes a moment; the message will say so"
_DISK = "not done: the disk doesn't answer"
_PRESSED_BEFORE = "not run: that was pressed while nobody listened; press it again"


def bots_of(settings: Settings) -> Mapping[str, Secret]:
    """The bots that somebody may answer: their tokens by their ids."""
    found = {}
    for channel in settings.channels.values():
        for url in channel.urls if channel.answers else ():
            if (bot := telegram_bot(url)) is not None:
                found[bot[0].reveal().partition(":")[0]] = bot[0]
    return found


_WISHES: Mapping[str, Wish] = {WANT: "want", YES: "yes", NO: "no"}
_SAID: Mapping[Wish, str] = {"want": "once more, to be sure", "yes": "confirmed", "no": "it isn't run"}
_DOES: Mapping[str, AnswerKind] = {
    ACK: "ack",
    UNACK: "unack",
    WHY: "why",
    **dict.fromkeys(SILENCES, "silence"),
}  # what metrics call it


class BotAnswers:
    """`settings` gives the config as it is now, `status` what `tocsin status` tells, `commit` writes what isn't an act.

    `tell(event, reason, subject)` tells the rules; `meters` count what is pressed, by channel; `moved` has the present ids of chats by their former ones. `log` is a
    structlog logger.
    """

    def __init__(
        self,
        bot: str,
        updates: TelegramUpdates,
        *,
        settings: Callable[[], Settings],
        database: Database,
        acts: LiveActs,
        commit: Callable[[Batch], Awaitable[None]],
        notes: Notes,
        moved: Mapping[str, str],
        status: Callable[[], dict[str, Any]],
        tell: Callable[[str, str, str | None], Awaitable[None]],
        clock: Clock,
        log: Any,
        meters: AnswerMeters | None = None,
    ) -> None:
        self._meters = AnswerMeters() if meters is None else meters
        self._bot, self._updates = bot, updates
        self._settings, self._database, self._acts, self._commit = settings, database, acts, commit
        self._notes, self._moved, self._status, self._tell = notes, moved, status, tell
        self._clock, self._log = clock, log.bind(bot=bot)
        self._reader = Reader(database.path)
        self._threads = trio.CapacityLimiter(1)
        self._strangers: dict[int, None] = {}
        self._failures = 0
        self._heard_at = float("-inf")  # steady; when a poll was answered last
        self._late = False  # whether what came with the last answer may be older than its poll
        self._conflict_told = False
        self._deaf: tuple[datetime, str] | None = None  # since when nothing is heard, and the last answer

    @property
    def attention(self) -> str | None:
        """For `tocsin status`: that nothing is heard, once that has lasted."""
        if self._deaf is None or self._clock.now().wall - self._deaf[0] < _DEAF_AFTER:
            return None
        since, answer = self._deaf
        return f"buttons of Telegram's bot {self._bot} do nothing, since {time_text(since)}: {answer}"

    async def run(self) -> NoReturn:
        """Polls for ever. Where it left off is kept after what was pressed is committed: at most that is done again."""
        offset = int(self._notes.under(OFFSET).get(self._bot, "0"))
        while True:
            asked_at = self._clock.now().steady
            answer = await self._updates.poll(offset)
            if not answer.accepted:
                await self._not_polled(answer)
                continue
            # What comes at once after a time in which nobody asked was pressed in that.
            now = self._clock.now().steady
            self._late = now - asked_at < _AT_ONCE and asked_at - self._heard_at > _DEAF
            self._heard_at = now
            if self._failures:
                self._log.info("answers are heard again")
            self._failures, self._conflict_told, self._deaf = 0, False, None
            for update in updates_in(answer):
                try:
                    await self._take(update)
                except Exception:  # noqa: BLE001 - loud in the log; nobody's press may keep others from being heard
                    self._log.exception("an answer can't be taken", update=update.id)
                offset = update.id + 1
                self._notes.set(f"{OFFSET}{self._bot}", str(offset))

    async def _not_polled(self, answer: Answer) -> None:
        """Says why once, and waits longer each time."""
        response = answer.response
        text = self._settings().masker.mask(f"{response.status or ''} {response.text}".strip())
        if not self._failures:
            self._log.warning("answers are not heard", answer=text)
        self._failures += 1
        self._deaf = (self._deaf[0] if self._deaf else self._clock.now().wall, text)
        if response.status == _CONFLICT and not self._conflict_told:
            self._conflict_told = True
            reason = (
                f"buttons of Telegram's bot {self._bot} do nothing: another program asks for its updates, or it has a webhook "
                f"({text})"
            )
            await self._tell("daemon.degraded", reason, "answers")
        rest = min(_FIRST_REST * 2.0 ** min(self._failures - 1, 16), _LONGEST_REST)
        if response.status in _REFUSED:
            rest = _LONGEST_REST
        await trio.sleep(max(rest, response.retry_after or 0.0))

    # ------------------------------------------------------------------------------------------------------------- people

    def _count(self, update: Update, does: AnswerKind | None) -> None:
        """By the channel on which the button stands."""
        if does is None:  # a newer version's
            return
        for name, channel in self._settings().channels.items():
            if {
                self._moved.get(chat, chat) for url in channel.urls for chat in self._chats(url)
            } & update.chats:
                self._meters[name, does] += 1
                return

    def _person(self, update: Update) -> str | None:
        """Who it is of those that may answer in this chat; in private, of those that may answer anywhere on this bot."""
        settings = self._settings()
        in_private = update.text is not None and str(update.user) in update.chats
        for channel in settings.channels.values():
            chats = {self._moved.get(chat, chat) for url in channel.urls for chat in self._chats(url)}
            if chats and (chats & update.chats or in_private):
                for name in channel.answers:
                    if name in settings.people and settings.people[name].telegram == update.user:
                        return name
        return None

    def _may_decide(self, run: str, person: str) -> bool:
        """Whether a person is of those whom the channel that asks about a run lets answer."""
        on = self._acts.asked_on(run)
        channel = self._settings().channels.get(on) if on is not None else None
        return channel is not None and person in channel.answers

    def _chats(self, url: Secret) -> tuple[str, ...]:
        """Those of this bot that a URL names."""
        bot = telegram_bot(url)
        return bot[1] if bot is not None and bot[0].reveal().startswith(f"{self._bot}:") else ()

    def _note_stranger(self, update: Update) -> None:
        if update.user in self._strangers:
            return
        self._strangers[update.user] = None
        while len(self._strangers) > _MOST_STRANGERS:
            del self._strangers[next(iter(self._strangers))]
        chat = min(update.chats, default=None)  # the id stands before the name
        self._log.warning("somebody who may not answer tried to", user=update.user, chat=chat)

    async def _take(self, update: Update) -> None:
        if update.query is None and update.text is None:
            return
        person = self._person(update)
        if person is None:
            self._note_stranger(update)
        if update.query is not None:
            await self._pressed(update, update.query, person)
        elif person is not None and update.text is not None:
            await self._asked(update, update.text)

    # ------------------------------------------------------------------------------------------------------------ buttons

    async def _pressed(self, update: Update, query: str, person: str | None) -> None:
        """Do it, and say what came of it: soon, whatever the disk does."""
        if person is None:
            self._count(update, "refused")
            await self._updates.answer(query, _NOT_ALLOWED)
            return
        said: list[str] = []
        done = trio.Event()

        async def answer() -> None:
            with trio.move_on_after(_PROMPT):
                await done.wait()
            await self._updates.answer(query, said[0] if said else _SLOW)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            try:
                said.append(await self._do(update, person))
            except StoreUnavailable:
                said.append(_DISK)
            finally:
                done.set()

    async def _do(self, update: Update, person: str) -> str:
        """What came of the press, in words."""
        button = await self._database.button(update.data or "")
        if button is None:
            return _NOT_KNOWN
        if not {self._moved.get(chat, chat) for chat in button.chat.split()} & update.chats:
            self._note_stranger(update)
            self._count(update, "refused")
            return _NOT_ALLOWED
        now = self._clock.now().wall
        if now >= button.expires_at:
            return _TOO_OLD
        if button.does == TEST:
            self._log.info("the button of a test was pressed", by=person)
            return _A_TEST
        return await self._act(update, button, By(person, _VIA), now)

    async def _act(self, update: Update, button: ButtonRow, by: By, now: datetime) -> str:
        """The same, of a button that may be pressed."""
        if button.does == ACK_ALL:
            said = await self._acknowledge_all(button.alert, by)
            self._count(update, "ack")
            await self._commit(Batch(at=now, pressed=[button.id]))
            return said
        if button.does in _WISHES:
            return await self._answer(update, button, by, now)
        found = await self._read(partial(self._reader.alerts_called, button.alert, limit=1))
        if not found or found[0]["state"] == "resolved":
            return _OVER
        self._count(update, _DOES.get(button.does))
        if button.does == WHY:
            return await self._why(update, found[0])
        if button.does == ACK:
            said = await self._acknowledge(found[0], by)
        elif button.does == UNACK:
            done = await self._acts.unacknowledge(Target.of(found[0]), by)
            said = self._done("no longer acknowledged") if done else "it isn't acknowledged"
        elif button.does in SILENCES:
            said = await self._silence(found[0], SILENCES[button.does], by, now)
        else:  # of a newer version
            return _NOT_KNOWN
        await self._commit(Batch(at=now, pressed=[button.id]))
        return said

    async def _answer(self, update: Update, button: ButtonRow, by: By, now: datetime) -> str:
        """Of the question whether an action is to be run. What is in vain now may be pressed again."""
        wish = _WISHES[button.does]
        if self._acts.asked_on(button.alert) is not None and not self._may_decide(button.alert, by.name):
            self._note_stranger(update)
            self._count(update, "refused")
            return _NOT_ALLOWED
        self._count(update, "confirm")
        if self._late and wish != "no":
            return _PRESSED_BEFORE
        if reason := await self._acts.answer(button.alert, wish, by):
            return reason
        await self._commit(Batch(at=now, pressed=[button.id]))
        return _SAID[wish]

    async def _acknowledge(self, alert: dict[str, Any], by: By) -> str:
        became = await self._acts.acknowledge(Target.of(alert), by)
        if became == "over":
            return _OVER
        return self._done("acknowledged" if became == "done" else "acknowledged already")

    def _done(self, said: str) -> str:
        """What was done, and whether it outlasts the process."""
        return said if self._acts.kept() else f"{said}, but {NOT_KEPT}"

    async def _acknowledge_all(self, digest: str, by: By) -> str:
        """Of a digest those that are neither over nor acknowledged."""
        done = 0
        for id_ in await self._database.told_by(digest):
            for alert in await self._read(partial(self._reader.alerts_called, id_, limit=1)):
                done += await self._acts.acknowledge(Target.of(alert), by) == "done"
        if done:
            await self._acts.remark(digest, f"{done} acknowledged by {by.name}")
        return self._done(f"{done} acknowledged") if done else "all are over or acknowledged"

    async def _silence(self, alert: dict[str, Any], lasts: str, by: By, now: datetime) -> str:
        matchers = matchers_of(msgspec.convert(alert["data"], AlertContext))
        until = now + parse_duration(lasts)
        enough = until - timedelta(minutes=1)
        if any(
            each.matchers == matchers and each.ends_at >= enough and holds_at(each, now)
            for each in self._acts.silences()
        ):
            return self._done("silenced already")
        begun = await self._acts.silence(matchers, lasts, None, by)
        return self._done(f"silenced until {Times(self._settings().tz, now).text(begun.ends_at)}")

    async def _why(self, update: Update, alert: dict[str, Any]) -> str:
        """A message of its own says it: what a press is answered with has no room."""
        context = msgspec.convert(alert["data"], AlertContext)
        times = Times(self._settings().tz, self._clock.now().wall)
        acts = await self._read(partial(self._reader.acts_on, alert["id"]))
        lines = [
            context.words or context.condition,
            *(f"{part.of} {part.asks}: {_HOLDS[part.holds]}, {part.saw}" for part in context.parts),
            *(
                f"{each['does']} by {each['by']} {times.text(from_iso(each['at']))}"
                for each in reversed(acts)
            ),
            f"tocsin explain {context.rule} has the rest",
        ]
        await self._say(update, f"why {context.rule} fired", "\n".join(filter(None, lines)))
        return "see the reply"

    # ----------------------------------------------------------------------------------------------------------- commands

    async def _asked(self, update: Update, text: str) -> None:
        """`/status`, `/alerts`; nothing else is understood."""
        command = text.split(maxsplit=1)[0].partition("@")[0] if text.strip() else ""
        if command == "/status":
            status = self._status()
            venues = [f"{venue['venue']}: {venue['status']}" for venue in status["venues"]]
            title = "Tocsin works" if status["healthy"] else f"Tocsin: {'; '.join(status['wrong'])}"
            await self._say(update, title, "\n".join([*venues, *status["attention"]]) or "no venues")
        elif command == "/alerts":
            rows = await self._read(partial(self._reader.alerts, active_only=True, limit=_MOST_LISTED + 1))
            titles = [str(row["title"]) for row in rows[:_MOST_LISTED]]
            more = ["and more; see tocsin alerts"] if len(rows) > _MOST_LISTED else []
            await self._say(update, f"{len(titles)} firing", "\n".join([*titles, *more]) or "no alert")

    async def _say(self, update: Update, title: str, body: str) -> None:
        chat = next(name for name in update.chats if not name.startswith("@"))
        message = Message(title=title, body=body, severity="info", delivery_id="")
        answer = await self._updates.say(chat, message, update.message)
        if not answer.accepted:
            self._log.warning("an answer can't be given", answer=answer.response.text)

    async def _read(self, call: Callable[[], Any]) -> Any:
        return await trio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._threads)

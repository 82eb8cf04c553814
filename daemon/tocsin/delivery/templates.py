"""Where messages are rendered: in place, or by a process of its own where a rule's author wrote a template.

The shipped rules' templates are known to be quick, so without templates of one's own there is no such process.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

import msgspec
import trio
import yaml
from msgspec import structs

from tocsin.alerts import digest
from tocsin.alerts.message import title
from tocsin.alerts.wording import Style
from tocsin.delivery.model import Message
from tocsin.delivery.render import render
from tocsin.delivery.template_worker import LENGTH
from tocsin.engine.api import AlertContext
from tocsin.shipped import shipped
from tocsin.store.model import REPORT

Draft = partial[Message]
"""A call of `render`: its first argument is the context, `notes` are among its keywords."""

Render = Callable[[Draft], Awaitable[Message]]

DEADLINE = 2.0  # seconds that a message's templates may take
_START = 20.0  # seconds until the process has to be ready
_PATIENCE = 10.0  # seconds that a message waits for its turn
_SLOW_REST = 300.0  # seconds that a template which took too long isn't tried again
_IDLE = 60.0  # seconds without a template after which the process ends
_LONGEST = 1 << 20  # bytes of a message
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")


async def in_place(draft: Draft) -> Message:
    """Here and now, for simulations."""
    return draft()


class Templates:
    """Renders drafts. `run` has to run meanwhile: it ends the process when it is idle, and at last."""

    def __init__(self, log: Any, *, deadline: float = DEADLINE) -> None:
        self._log = log
        self._deadline = deadline
        self._turn = trio.Lock()
        self._worker: trio.Process | None = None
        self._used = 0.0
        self._slow: dict[str, float] = {}  # a template that took too long -> until when it isn't tried

    async def render(self, draft: Draft) -> Message:
        """The message; with our own words and a remark where its templates take too long. Raises what rendering raises."""
        own = [source for source in (draft.args[0].title, draft.args[0].message) if source is not None]
        if not own or await _are_shipped(own):
            return draft()
        now = trio.current_time()
        if any(self._slow.get(source, now) > now for source in own):
            return _without_templates(draft, f"it took longer than {self._deadline:g} s a moment ago")
        with trio.move_on_after(_PATIENCE) as waiting:
            await self._turn.acquire()
        if waiting.cancelled_caught:
            return _without_templates(draft, "others take too long")
        try:
            return await self._rendered(draft, own)
        finally:
            self._turn.release()

    async def run(self) -> None:
        """For ever."""
        try:
            while True:
                await trio.sleep(_IDLE / 2)
                if self._worker is not None and trio.current_time() - self._used > _IDLE:
                    async with self._turn:
                        await self._end()
        finally:
            with trio.CancelScope(shield=True):
                await self._end()

    async def _rendered(self, draft: Draft, own: list[str]) -> Message:
        answered, why = False, "the process that renders it is gone"
        try:
            worker = self._worker
            if worker is None:
                with trio.move_on_after(_START):
                    worker = await self._start()
            if worker is None:
                why = f"the process that renders it wasn't ready within {_START:g} s"
            else:
                with trio.move_on_after(self._deadline):
                    message = await _asked(worker, draft)
                    answered, self._used = True, trio.current_time()
                    return message
                self._slow |= dict.fromkeys(own, trio.current_time() + _SLOW_REST)
                why = f"it took longer than {self._deadline:g} s"
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, ValueError) as error:
            why = f"{why} ({type(error).__name__})"
        finally:
            if not answered:  # also when cancelled: its answer would be taken for the next one's
                await self._end()
        self._log.warning("a template was not used", rule=draft.args[0].rule, reason=why)
        return _without_templates(draft, why)

    async def _start(self) -> trio.Process:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self._worker = worker = await trio.lowlevel.open_process(
            [sys.executable, "-m", "tocsin.delivery.template_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        await _read(worker, LENGTH.size)
        return worker

    async def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        with trio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    await pipe.aclose()


async def _asked(worker: trio.Process, draft: Draft) -> Message:
    request = pickle.dumps(draft)
    if worker.stdin is None:
        raise ValueError("no pipe")
    await worker.stdin.send_all(LENGTH.pack(len(request)) + request)
    (length,) = LENGTH.unpack(await _read(worker, LENGTH.size))
    if length > _LONGEST:
        raise ValueError("a message without end")
    return msgspec.json.decode(await _read(worker, length), type=Message)


async def _read(worker: trio.Process, count: int) -> bytes:
    got = b""
    while len(got) < count:
        part = await worker.stdout.receive_some(count - len(got)) if worker.stdout is not None else b""
        if not part:
            raise ValueError("it ended")
        got += part
    return got


def _without_templates(draft: Draft, why: str) -> Message:
    """The draft in our own words."""
    context, *rest = draft.args
    notes = (*draft.keywords.get("notes", ()), f"(the template was not used: {why})")
    plain = structs.replace(context, title=None, message=None)
    return draft.func(plain, *rest, **{**draft.keywords, "notes": notes})


async def _are_shipped(sources: list[str]) -> bool:
    if not _shipped_templates.cache_info().currsize:
        await trio.to_thread.run_sync(_shipped_templates)
    return _shipped_templates().issuperset(sources)


@cache
def _shipped_templates() -> frozenset[str]:
    """All titles and messages of the shipped rules, as they stand in contexts. Blocks the first time."""
    found: set[str] = set()
    try:
        files = sorted(shipped("rules").glob("*.yaml"))
    except FileNotFoundError:
        return frozenset()
    for file in files:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        rules = document.get("rules", []) if isinstance(document, Mapping) else document
        for rule in rules or ():
            found |= {rule[key] for key in ("title", "message") if isinstance(rule.get(key), str)}
    return frozenset(found)


# -------------------------------------------------------------------------------------------------------------- preview

# So many are rendered as they would be sent; the rest has the title that we would give it.
_MOST_PREVIEWED = 100


async def preview(
    rows: Sequence[dict[str, Any]], style: Callable[[str, int], Style], now: datetime, make: Render
) -> None:
    """Give those of the rows of `Reader.deliveries` that wait their present title and rule, and take their contexts away.

    `style` is of a channel's URL, by its name and number; `make` renders. A context that can't be read leaves the row as
    it is.
    """
    waiting = 0
    for row in rows:
        if (text := row.pop("context", None)) is None:
            continue
        waiting += 1
        await trio.lowlevel.checkpoint()
        of = partial(style, row["channel"], row["target"])
        try:
            if row["state_told"] in ("digest", REPORT):
                carried = msgspec.json.decode(text, type=digest.DigestContext)
                row["title"] = digest.title(carried, of(), timedelta(0))
                continue
            context = msgspec.json.decode(text, type=AlertContext)
        except ValueError:
            continue
        row["rule"] = context.rule
        if waiting > _MOST_PREVIEWED:
            row["title"] = title(context, of(), now)
            continue
        row["title"] = (await make(partial(render, context, of(), delivery_id=row["id"], now=now))).title

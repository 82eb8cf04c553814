"""From checked settings to a running daemon, and back out again."""

import gc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import trio

from tocsin.app.components import Components, runtime_dir
from tocsin.app.daemon import Daemon
from tocsin.app.dryrun import copied_state
from tocsin.app.interpreter import tune
from tocsin.app.sdnotify import SystemdNotifier
from tocsin.app.signals import leave_in_time, listen
from tocsin.clock import Clock, SystemClock
from tocsin.config.settings import Settings
from tocsin.control.client import is_running, socket_paths
from tocsin.store.database import Database


async def serve(
    settings: Settings,
    load: Callable[[], Settings],
    *,
    log: Any,
    clock: Clock | None = None,
    notifier: SystemdNotifier | None = None,
    runtime: Path | None = None,
    dry_run: bool = False,
    task_status: trio.TaskStatus[Daemon] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run until `Daemon.stop`. Raises StateInUse, SchemaRefused or StoreUnavailable if the state can't be had.

    Started (with the daemon) when all is up. A bug in the pipeline is raised: the state in memory is then not to be
    trusted, and whoever started us starts us again.
    """
    clock = clock or SystemClock()
    database = await Database.open(settings.state_dir, now=clock.now().wall)
    try:
        loaded = await database.load()
        components = Components(
            settings, loaded, database, clock, log, runtime or runtime_dir(settings.state_dir)
        )
        daemon = Daemon(
            settings,
            load,
            components=components,
            clock=clock,
            log=log,
            notifier=notifier or SystemdNotifier({}),
            dry_run=dry_run,
        )
        for trouble in loaded.troubles:
            log.error("the database", trouble=trouble)
            await daemon.tell("daemon.degraded", trouble, subject="store")
        async with trio.open_nursery() as nursery:
            await nursery.start(daemon.run)
            gc.freeze()  # what was loaded stays: collections needn't go through it
            task_status.started(daemon)
    finally:
        gc.unfreeze()
        await database.close()


def run_daemon(settings: Settings, load: Callable[[], Settings], *, log: Any) -> None:
    """`tocsin run`: until SIGTERM or SIGINT, which is obeyed within ten seconds whatever hangs."""
    _run(partial(serve, settings, load, log=log, notifier=SystemdNotifier()), log)


def run_dry(settings: Settings, load: Callable[[], Settings], *, log: Any) -> None:
    """`tocsin run --dry-run`: on a copy of the state, also beside the daemon that works on the real one."""
    with copied_state(settings.state_dir) as copy:

        def on_copy() -> Settings:
            return _dry(load(), copy)

        answered = is_running(socket_paths(settings.state_dir))
        runtime = copy if answered else runtime_dir(settings.state_dir)
        dry = partial(serve, _dry(settings, copy), on_copy, log=log, runtime=runtime, dry_run=True)
        _run(dry, log)


def _dry(settings: Settings, state_dir: Path) -> Settings:
    """As these, on another state, and without any action that is really run."""
    shown = {name: action.model_copy(update={"dry_run": True}) for name, action in settings.actions.items()}
    return replace(settings, state_dir=state_dir, actions=shown)


def _run(start: Callable[..., Awaitable[None]], log: Any) -> None:
    async def main() -> None:
        tune()
        daemon: Daemon | None = None
        started, stopping = trio.Event(), trio.Event()
        async with trio.open_nursery() as nursery:

            def stop() -> None:
                if stopping.is_set():
                    return
                stopping.set()
                leave_in_time(log)
                if daemon is None:
                    nursery.cancel_scope.cancel()
                else:
                    daemon.stop()

            async def reload() -> None:
                await started.wait()
                if daemon is not None:
                    await daemon.reload()

            # Before READY is told: whoever waits for it may send a signal at once, and a SIGHUP nobody heeds is deadly.
            await nursery.start(listen, stop, reload)
            daemon = await nursery.start(start)
            started.set()
            await daemon.stopped.wait()
            nursery.cancel_scope.cancel()

    trio.run(main)
    log.info("stopped")

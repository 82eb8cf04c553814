"""What people are told of runs of actions, and asked about them: by messages of their own."""

from collections.abc import Callable

from msgspec import structs

from tocsin.alerts.decide import MuteReasons, decide
from tocsin.engine.api import AlertContext
from tocsin.engine.rule import Rule
from tocsin.events import Instant
from tocsin.pipeline.deliveries import Deliveries
from tocsin.pipeline.muter import Muter
from tocsin.pipeline.options import Options
from tocsin.quantities import duration_text
from tocsin.store.model import ACTION, Batch, RunRow


class RunNotices:
    """`rule` finds the rule of an id, if it runs; `options` gives those of the config as it is now."""

    def __init__(
        self,
        rule: Callable[[str], Rule | None],
        muter: Muter,
        deliveries: Deliveries,
        options: Callable[[], Options],
    ) -> None:
        self._rule, self._muter, self._deliveries, self._options = rule, muter, deliveries, options

    def failed(self, batch: Batch, run: RunRow, context: AlertContext, words: str, now: Instant) -> None:
        """The channels of the run's rule hear of that at once, whatever holds the alert back."""
        rule = self._rule(context.rule)
        severity = "warning" if context.severity == "info" else context.severity
        told = structs.replace(
            context,
            state="firing",
            severity=severity,
            at=now.wall,
            title=None,
            message=None,
            action_failed=words,
        )
        decision = decide(
            "event" if context.event is not None else "firing",
            severity=severity,
            notify=rule.notify if rule is not None else None,
            announced=None,
            routing=self._options().routing,
            avoid=frozenset(),
            reasons=MuteReasons(),
        )
        self._deliveries.add(batch, run.id, told, decision.channels, now, told=ACTION)

    def muted(self, rule: str, context: AlertContext, channel: str, now: Instant) -> str:
        """What holds a question about that alert back from a channel, in words; "" for nothing."""
        reasons = self._muter.reasons(rule, context, now)
        outcome, by, reason = reasons.first("resolved" if context.state == "resolved" else "firing")
        if outcome != "told":
            return f"{by}: {reason}"
        route = self._options().routing.channels.get(channel)
        if route is None or route.quiet is None or context.severity == "critical":
            return ""
        return f"{channel} is quiet" if self._muter.opening(route.quiet, now).open else ""

    def ask(self, batch: Batch, run: RunRow, context: AlertContext, now: Instant) -> None:
        """The channel that its action names is asked whether it is to be run."""
        settings = self._options().actions[run.action]
        if settings.confirm is None:
            return
        asks = f"run {run.action}?"
        if context.state == "resolved":
            asks = f"it is over, {asks}"
        told = structs.replace(context, state="firing", title=None, message=None, asks=asks)
        note = f"not run unless somebody says so within {duration_text(settings.confirm.within)}"
        self._deliveries.ask(
            batch, run.id, told, settings.confirm.on, now, note=note, within=settings.max_age
        )

"""The engine: changes and the passing of time in, transitions out. One entrance, no I/O, no clock of its own.

    process(change)   what a venue said      -> the rules that watch it
    advance(now)      a timer has come due   -> for, keep_firing_for, repeat, cooldown; conditions on time
    reload(rules)     the user edited        -> untouched rules notice nothing

Venue changes go through `process` like all others and stop the timers of a venue whose link is down.
"""

import json
from collections.abc import Callable, Iterable, Iterator

import msgspec

from tocsin.engine import happenings, states
from tocsin.engine.context import matches_event
from tocsin.engine.happenings import Quiet, Reminding
from tocsin.engine.instance import Instance
from tocsin.engine.lives import Life, Lives, instance_key, revive
from tocsin.engine.model import AlertState, Saved, Transition, World
from tocsin.engine.rule import Rule
from tocsin.engine.sight import Sight
from tocsin.engine.states import Step
from tocsin.events import Account, Change, Instant, Key

_REEVALUATE = 1.0  # seconds between looks at conditions whose truth changes as time passes
_LINK_DOWN = frozenset({"connecting", "disconnected", "auth_failed"})
_UNHELD = frozenset({"venue", "daemon"})  # rules that watch these aren't held while a venue is away


class Engine:
    """Rule instances and their timers. `new_id` gives the ids of alerts."""

    def __init__(self, rules: Iterable[Rule], world: World, new_id: Callable[[], str]) -> None:
        self._world = world
        self._new_id = new_id
        self._lives = Lives()
        self._sight = Sight()
        self._down: set[str] = set()
        self._looked_at = float("-inf")
        self._set_rules(rules)

    # ------------------------------------------------------------------------------------------------------- entrances

    def process(self, change: Change, now: Instant) -> list[Transition]:
        """Everything that this change starts, ends and tells, in the order of the rules."""
        out = list(self._link(change, now)) if change.kind == "venue" else []
        for rule in self._by_kind.get(change.kind, ()):
            if rule.is_event_rule:
                if any(matches_event(rule, name) for name in change.events):
                    out += self._happened(rule, change, now)
            elif rule.when is not None and rule.when.edge:
                out += self._edge(rule, change, now)
            else:
                out += self._judge(rule, change, now)
        if change.kind == "account":
            out += self._account_moved(change, now)
        return out

    def advance(self, now: Instant) -> list[Transition]:
        """Everything that has come due by `now`, in the order in which it came due."""
        out: list[Transition] = []
        for life in self._lives.pop_due(now.steady):
            out += self._timer(life, now)
        if self._timed and now.steady - self._looked_at >= _REEVALUATE:
            self._looked_at = now.steady
            for rule in self._timed:
                out += self._judge_all(rule, now, held=False)
        return out

    def deadline(self) -> float | None:
        """The steady time at which `advance` next has something to do, if nothing happens before."""
        look = (
            self._looked_at + _REEVALUATE if any(self._concerns_any(rule) for rule in self._timed) else None
        )
        return min((at for at in (self._lives.next_due(), look) if at is not None), default=None)

    def restore(self, saved: Iterable[Saved], alive: Instant | None, now: Instant) -> list[Transition]:
        """Go on where the last run was last seen `alive`; rules edited in between are treated as in a reload."""
        self._down = {
            c.key.id for c in self._world.live("venue") if getattr(c.state, "status", None) in _LINK_DOWN
        }
        out: list[Transition] = []
        for row in saved:
            rule = self._rules.get(row.rule)
            gone = Rule(
                id=row.rule,
                kinds=frozenset(),
                severity=row.record["severity"],
                notify=_notify(row.record["notify"]),
            )
            life = revive(rule or gone, row.instance, row.record, alive, now)
            if rule is None:
                out += self._end(life, now, "rule removed")
                continue
            if isinstance(life, Instance) and not self._held(rule, life.entity.venue):
                life.thaw(now)
            self._lives.keep(life)
            if row.record["fingerprint"] != rule.fingerprint:
                out += self._rule_changed(life, now)
            else:
                out.append(self._transition(life, Step(trace="restored"), now))
        for rule in self._rules.values():
            out += self._judge_all(rule, now)
        return out

    def reload(self, rules: Iterable[Rule], now: Instant) -> list[Transition]:
        """Other rules from now on. A rule whose meaning is unchanged keeps its state and notices nothing."""
        before = self._rules
        self._set_rules(rules)
        out: list[Transition] = []
        for life in self._lives:
            rule = self._rules.get(life.rule.id)
            if rule is None:
                out += self._end(life, now, "rule removed")
                continue
            changed = before[rule.id].fingerprint != rule.fingerprint
            life.rule = rule
            self._lives.keep(life)
            if changed:
                out += self._rule_changed(life, now)
        for rule in self._rules.values():
            if rule.id not in before or before[rule.id].fingerprint != rule.fingerprint:
                self._sight.forget(rule.id)
                out += self._judge_all(rule, now)
        for gone in before.keys() - self._rules.keys():
            self._sight.forget(gone)
        return out

    def acknowledge(self, alert_id: str, now: Instant) -> list[Transition]:
        """No more reminders of this alert."""
        for life in self._lives:
            if isinstance(life, Instance) and life.alert_id == alert_id:
                life.acked, life.remind_at = True, None
                self._lives.keep(life)
                return [self._transition(life, Step(trace="acknowledged"), now)]
            if isinstance(life, Reminding) and life.key == alert_id:
                self._lives.forget(life)
                return [self._transition(life, Step(trace="acknowledged"), now, keep=False)]
        return []

    def forget(self, keys: Iterable[Key]) -> None:
        """These entities are gone (retention); so is what was remembered of them."""
        self._lives.forget_entities(keys)

    def blind(self, now: Instant) -> list[str]:
        """The rules that have been unknown for all that they concern for an hour; each once, until it sees again."""

        def sees_any(rule_id: str) -> bool:
            rule = self._rules[rule_id]
            changes = (change for kind in rule.kinds for change in self._world.live(kind))
            return rule.when is not None and any(
                rule.when.holds(standing(c), now.wall) is not None for c in changes
            )

        return self._sight.blind(now.steady, sees_any)

    # ----------------------------------------------------------------------------------------------------- state rules

    def _judge(self, rule: Rule, change: Change, now: Instant) -> Iterator[Transition]:
        key = instance_key(change.key)
        life = self._lives.get(rule.id, key)
        instance = life if isinstance(life, Instance) else Instance(rule, key, change.key)
        truth, step = states.judge(instance, change, now, self._new_id)
        self._sight.note(rule, truth, now.steady)
        if step is not None:
            if self._held(rule, change.venue):
                instance.freeze(now)
            yield self._moved(instance, step, now)

    def _judge_all(self, rule: Rule, now: Instant, *, held: bool = True) -> Iterator[Transition]:
        """Judge every live entity as it stands, nothing having happened to it; `held`: those of venues away too."""
        if rule.is_event_rule or rule.when is None or rule.when.edge:
            return
        for kind in rule.kinds:
            for change in list(self._world.live(kind)):
                if held or not self._held(rule, change.venue):
                    yield from self._judge(rule, standing(change), now)

    def _account_moved(self, change: Change, now: Instant) -> Iterator[Transition]:
        """Rules on orders and positions that read their account are judged again when the account moves."""
        account = change.state if isinstance(change.state, Account) else None
        for rule in self._reading_account:
            for kind in rule.kinds:
                for below in list(self._world.live(kind)):
                    if below.venue == change.venue and below.account == change.key.id:
                        yield from self._judge(rule, standing(below, account), now)

    def _timer(self, life: Life, now: Instant) -> Iterator[Transition]:
        if isinstance(life, Quiet):
            context = life.end(now)
            if context is None:
                self._lives.forget(life)
                yield self._transition(life, Step(trace="cooldown over"), now, keep=False)
            else:
                self._lives.keep(life)
                step = Step("firing", context, f"cooldown over: {context.suppressed} held back")
                yield self._transition(life, step, now, alert_id=self._new_id())
        elif isinstance(life, Reminding):
            step = Step("reminder", life.remind(now), f"reminder {life.times} of {happenings.MOST_REMINDERS}")
            (self._lives.forget if life.exhausted else self._lives.keep)(life)
            yield self._transition(life, step, now, keep=not life.exhausted)
        elif (change := self._world.get(life.entity)) is None:
            self._lives.forget(life)
        elif moved := states.passed(life, standing(change), now):
            yield self._moved(life, moved, now)
        else:
            self._lives.keep(life)

    def _rule_changed(self, life: Life, now: Instant) -> Iterator[Transition]:
        """The rule means something else now: what no longer holds is resolved, what still holds goes on."""
        change, when = self._world.get(life.entity), life.rule.when
        holds = (
            isinstance(life, Instance)
            and change is not None
            and change.kind in life.rule.kinds
            and when is not None
            and not when.edge
            and when.holds(standing(change), now.wall) is not False
        )
        if holds:
            yield self._transition(life, Step(trace="rule changed, and it still holds"), now)
        else:
            yield from self._end(life, now, "rule changed")

    def _end(self, life: Life, now: Instant, reason: str) -> Iterator[Transition]:
        """End it from outside; what was announced as firing is announced as resolved."""
        self._lives.forget(life)
        step = Step(trace=reason)
        if isinstance(life, Instance) and life.state in ("firing", "recovering"):
            change = self._world.get(life.entity)
            if change is not None:
                step = states.resolve(life, standing(change), now, reason=reason)
        yield self._transition(life, step, now, state="inactive", keep=False)

    # ----------------------------------------------------------------------------------------------------- event rules

    def _happened(self, rule: Rule, change: Change, now: Instant) -> Iterator[Transition]:
        context = happenings.happened(rule, change, now)
        if context is None:
            return
        step = Step("firing", context, "happened")
        if rule.cooldown:
            key = json.dumps(["cooldown", *(group_part(change, field) for field in group_fields(rule))])
            quiet = self._lives.get(rule.id, key)
            if isinstance(quiet, Quiet):
                quiet.hold(context)
                yield self._transition(quiet, Step(trace="held back by cooldown"), now)
                return
            quiet = Quiet(rule, key, change.key, now.later(rule.cooldown))
            self._lives.keep(quiet)
            yield self._transition(quiet, step, now, alert_id=self._new_id())
        elif rule.repeat:
            life = Reminding(rule, self._new_id(), context, change.key, now.later(rule.repeat))
            self._lives.keep(life)
            yield self._transition(life, step, now)
        else:
            yield self._once(rule, change, step, now)

    def _edge(self, rule: Rule, change: Change, now: Instant) -> Iterator[Transition]:
        """A state rule on an edge: told each time it is true; unknown (a first sight) is not."""
        truth, _ = happenings.verdict(rule, change, now)
        context = happenings.happened(rule, change, now) if truth is True else None
        if context is not None:
            yield self._once(rule, change, Step("firing", context, "edge"), now)

    def _once(self, rule: Rule, change: Change, step: Step, now: Instant) -> Transition:
        """Told, and over."""
        instance = Instance(rule, instance_key(change.key), change.key, alert_id=self._new_id())
        return self._transition(instance, step, now, keep=False)

    # ------------------------------------------------------------------------------------------------------ venue links

    def _link(self, change: Change, now: Instant) -> Iterator[Transition]:
        """A venue's link goes down or comes up: the timers of what it holds stop, or go on."""
        name, down = change.key.id, getattr(change.state, "status", None) in _LINK_DOWN
        if down == (name in self._down):
            return
        (self._down.add if down else self._down.discard)(name)
        for life in self._lives:
            if not isinstance(life, Instance) or life.entity.venue != name or life.rule.kinds & _UNHELD:
                continue
            if down and life.rule.on_gap == "resolve" and life.state != "inactive":
                yield from self._end(life, now, "venue lost")
            elif life.state in ("pending", "recovering"):
                (life.freeze if down else life.thaw)(now)
                self._lives.keep(life)
                yield self._transition(life, Step(trace="venue away" if down else "venue back"), now)

    def _held(self, rule: Rule, venue: str) -> bool:
        return venue in self._down and not rule.kinds & _UNHELD

    # ------------------------------------------------------------------------------------------------------ bookkeeping

    def _set_rules(self, rules: Iterable[Rule]) -> None:
        self._rules = {rule.id: rule for rule in rules if rule.enabled}
        self._by_kind: dict[str, list[Rule]] = {}
        self._timed: list[Rule] = []
        self._reading_account: list[Rule] = []
        for rule in self._rules.values():
            for kind in rule.kinds:
                self._by_kind.setdefault(kind, []).append(rule)
            conditions = [c for c in (rule.when, rule.until, rule.where) if c is not None]
            if rule.is_event_rule:
                continue
            if any(condition.timed for condition in conditions):
                self._timed.append(rule)
            if any(field.startswith("account.") for condition in conditions for field in condition.fields):
                self._reading_account.append(rule)

    def _concerns_any(self, rule: Rule) -> bool:
        return any(True for kind in rule.kinds for _ in self._world.live(kind))

    def _moved(self, instance: Instance, step: Step, now: Instant) -> Transition:
        keep = instance.state != "inactive" or instance.over
        (self._lives.keep if keep else self._lives.forget)(instance)
        return self._transition(instance, step, now, keep=keep)

    def _transition(
        self,
        life: Life,
        step: Step,
        now: Instant,
        *,
        state: AlertState | None = None,
        alert_id: str | None = None,
        keep: bool = True,
    ) -> Transition:
        if alert_id is None:
            alert_id = life.alert_id if isinstance(life, Instance) else life.key
        return Transition(
            rule=life.rule.id,
            instance=life.key,
            alert_id=alert_id,
            state=state or (life.state if isinstance(life, Instance) else "inactive"),
            tell=step.told,
            entity=life.entity,
            at=now.wall,
            context=step.context,
            record=life.to_record() if keep else None,
            notify=life.rule.notify,
            trace=step.trace,
        )


def standing(change: Change, account: Account | None = None) -> Change:
    """The entity as it stands, nothing having happened: no edge is seen twice."""
    return msgspec.structs.replace(
        change,
        events=(),
        previous=change.state,
        account_state=account if account is not None else change.account_state,
    )


def group_fields(rule: Rule) -> tuple[str, ...]:
    """By what an event rule's cooldown is told apart: `per`, else venue and account. `account` brings `venue`."""
    fields = rule.per if rule.per is not None else ("venue", "account")
    return ("venue", *fields) if "account" in fields and "venue" not in fields else fields


def group_part(change: Change, field: str) -> str | None:
    if field in ("venue", "account", "kind", "symbol"):
        value = getattr(change, field)
    elif field == "id":
        value = change.key.id
    else:
        value = getattr(change.state, field, None)
    return value if isinstance(value, str) else None


def _notify(channels: list[str] | None) -> tuple[str, ...] | None:
    return None if channels is None else tuple(channels)

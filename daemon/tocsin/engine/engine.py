"""The engine: changes and the passing of time in, transitions out. One entrance, no I/O, no clock of its own.

    process(changes)  what a venue said      -> the rules that watch it, then those that watch its groups
    advance(now)      a timer has come due   -> for, keep_firing_for, repeat, cooldown; conditions on time
    reload(rules)     the user edited        -> untouched rules notice nothing

What becomes of an instance of a rule its kind's runtime says; see `runtime.RuleRuntime`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator

from msgspec import structs

from tocsin.engine.absence_rule import AbsenceRuleRuntime
from tocsin.engine.api import AlertContext, ChangeOutcome, Saved, Transition, World
from tocsin.engine.event_rule import EventRuleRuntime
from tocsin.engine.group_rule import GroupRuleRuntime
from tocsin.engine.history import HistoryStore
from tocsin.engine.index import RuleSet
from tocsin.engine.instances import InstanceStore, unchanged
from tocsin.engine.linked import Readers
from tocsin.engine.looks import Looks
from tocsin.engine.pauses import ActiveHours, VenueLinks, hangs_on_link, has_turned, is_down
from tocsin.engine.rule import Rule
from tocsin.engine.rule_migration import KnownRules, RuleMigration
from tocsin.engine.runtime import Blind, Crowded, RuleHealth, Runtimes, Shared
from tocsin.engine.samples import SampleLog
from tocsin.engine.sequence_rule import SequenceRuleRuntime
from tocsin.engine.state_rule import StateRuleRuntime
from tocsin.engine.trace import Asked, Subject
from tocsin.events import Change, Instant, Key, Sample, SamplesDropped
from tocsin.events.links import LINKS


class Engine:
    """Rules at work on `world`. `new_id` gives the ids of alerts."""

    def __init__(self, rules: Iterable[Rule], world: World, new_id: Callable[[], str]) -> None:
        self._samples = SampleLog()
        self._health = RuleHealth(self._samples)
        self._history = HistoryStore(self._samples, self._health.note_crowded)
        self._world = self._history.over(world)
        self._readers = Readers(self._world)
        self._known_rules = KnownRules(self._samples)
        self._instances, self._links, self._hours = InstanceStore(), VenueLinks(), ActiveHours()
        shared = Shared(self._instances, self._world, self._links, self._hours, self._health, new_id)
        events = EventRuleRuntime(shared, self._history.counter)
        self._states, self._groups = StateRuleRuntime(shared, events), GroupRuleRuntime(shared)
        sequences = SequenceRuleRuntime(shared, events)
        self._runtimes = Runtimes(
            self._instances,
            state=self._states,
            group=self._groups,
            event=events,
            sequence=sequences,
            absence=AbsenceRuleRuntime(shared),
        )
        self._migration = RuleMigration(self._instances, self._runtimes, self._hours)
        self.looks = Looks(self._instances, self._world, self._groups.groups, self._hours)
        self._set_rules(RuleSet(rules))

    # ------------------------------------------------------------------------------------------------- what happens

    def process(self, changes: Iterable[Change], now: Instant) -> list[ChangeOutcome]:
        """What one message changed, and all that each change starts, ends and tells; of groups, that they are as they stand
        after the last.
        """
        outcomes = [self._take(change, now) for change in changes]
        self._groups.settle(now)
        for each in outcomes:
            found = each.transitions
            if len(found) > 1:
                found.sort(key=lambda transition: self._rules.order[transition.rule])
            each.notifies = each.notifies or any(transition.notification for transition in found)
        return outcomes

    def _take(self, change: Change, now: Instant) -> ChangeOutcome:
        """What one change brings about, but for what groups come to: that stands there when they have settled."""
        outcome = ChangeOutcome(change, [])
        out = outcome.transitions
        if change.replaces is not None:
            last = unchanged(structs.replace(change, state=change.replaces, replaces=None))
            out += self._states.another_life(change, last, now)
            self._history.forget((change.key,))
        change = self._history.see(change)
        if change.kind == "venue":
            out += self._link(change, now)
        for rule in self._rules.concerned(change, self._states.restless(change.key)):
            if self._hours.counts(rule):
                out += self._runtimes.of_rule(rule).on_change(rule, change, now)
        self._groups.changed(change, outcome, now)
        if change.ended and not change.passing:
            self._history.forget((change.key,))
        self._readers.put(change)
        if change.key[1] in LINKS:
            living = self._states.living(self._rules.reading[change.key[1]])
            read = [self._history.see(reader, change.key[1]) for reader in self._readers.of(change, living)]
            if read:
                self._runtimes.on_linked(change.key[1], read, outcome, now)
        return outcome

    def advance(self, now: Instant) -> list[Transition]:
        """Everything that has come due by `now`, in the order in which it came due."""
        out: list[Transition] = []
        for turned in self._hours.passed(now):
            out += self._runtimes.on_timers(turned.at.steady, now)
            judged = self._runtimes.reevaluate if turned.open else self._migration.close
            out += judged((turned.rule,), now)
        out += self._runtimes.on_timers(now.steady, now)
        out += self._runtimes.on_time(now)
        return out

    def deadline(self) -> float | None:
        """The steady time at which `advance` next has something to do, if nothing happens before."""
        times = (self._hours.deadline(), self._runtimes.deadline())
        return min((at for at in times if at is not None), default=None)

    def acknowledge(self, alert_id: str, now: Instant) -> list[Transition]:
        """No more reminders of this alert."""
        return self._runtimes.acknowledge(alert_id, now)

    def unacknowledge(self, alert_id: str, now: Instant, *, at_once: bool) -> list[Transition]:
        """Reminders of this alert again: the first `at_once`, or as ever from now on."""
        return self._runtimes.unacknowledge(alert_id, now, at_once=at_once)

    def told(self, alert_id: str, now: Instant) -> list[Transition]:
        """The firing of that alert, which was held back, is told now: its reminders count from here."""
        return self._runtimes.told(alert_id, now)

    def reminder(self, alert_id: str, now: Instant) -> AlertContext | None:
        """What a reminder would say of that alert now; None where that is what its firing said, or it is over."""
        return self._runtimes.reminder(alert_id, now)

    def fires(self, alert_id: str) -> bool:
        """Whether what that alert is of is so now; not where it only hasn't been over for long enough."""
        return self._runtimes.fires(alert_id)

    def forget(self, keys: Iterable[Key], now: Instant) -> list[Transition]:
        """These entities are to be no longer known: their alerts end as they stand, and nothing is remembered of them."""
        gone = frozenset(keys)
        out = list(self._runtimes.on_forgotten(gone, now))
        self._history.forget(gone)
        self._readers.forget(gone)
        return [*out, *self._groups.gone(gone, now)]

    def venues_removed(self, venues: Collection[str], now: Instant) -> list[Transition]:
        """These venues are no longer configured: nobody will tell what becomes of their entities."""
        for venue in venues:
            self._links.forget(venue)
        out = [*self._runtimes.on_venues_removed(venues, now), *self._groups.members_gone(venues, now)]
        for venue in venues:
            self._history.forget_venue(venue)
            self._readers.forget_venue(venue)
        return out

    # ------------------------------------------------------------------------------------- another run, other rules

    def remembered(self) -> list[Sample | SamplesDropped]:
        """What is to be kept for the next run, or needn't be any more, since the last call; in this order."""
        return self._samples.drain()

    def restore(
        self,
        saved: Iterable[Saved],
        alive: Instant | None,
        now: Instant,
        *,
        samples: Iterable[Sample] = (),
        leave: Callable[[], Iterable[Transition]] = tuple,
    ) -> tuple[list[Transition], list[tuple[Saved, str]]]:
        """Go on where the last run was last seen `alive`; rules edited in between are treated as in a reload.

        `samples` are what `remembered` had handed out. `leave` is called when all that was saved is there again and nothing
        is judged yet: it ends what isn't to go on.
        Beside the transitions: what couldn't be read, and why.
        """
        running = self._rules.running.values()
        samples = self._known_rules.restore(samples)
        self._history.restore(self._health.restore(samples, running), self._world)
        self._links.restore(self._world.live("venue"))
        self._hours.set(running, now)
        self._runtimes.started(now)
        found = self._migration.take_up(self._rules, saved, alive, now)
        out = found.transitions
        out += leave()
        self._groups.build(now)
        out += self._migration.close(running, now)
        untimed = [rule for rule in running if rule.id not in self._rules.timed]
        said = {
            rule.id
            for rule in untimed
            if rule.id not in found.torn
            and self._known_rules.knows(rule)
            and not (alive is not None and has_turned(rule, alive.wall, now.wall))
        }
        out += self._runtimes.reevaluate(untimed, now, only_noted=said)
        self._known_rules.run(running, now)
        return out, found.unreadable

    def reload(self, rules: Iterable[Rule], now: Instant) -> list[Transition]:
        """Other rules from now on. A rule whose meaning is unchanged keeps its state and notices nothing."""
        old, running = self._rules, RuleSet(rules)
        self._hours.set(running.running.values(), now)
        self._set_rules(running)
        self._groups.build(now)
        self._states.look_anew(now)
        out = list(self._migration.edit(running, now))
        fresh = [rule for rule in running.running.values() if not _is_same(old.get(rule.id), rule)]
        for forgotten in (old.running.keys() - running.running.keys()) | {rule.id for rule in fresh}:
            self._health.forget(forgotten)
        out += self._migration.close(fresh, now)
        out += self._runtimes.reevaluate(fresh, now)
        self._known_rules.run(running.running.values(), now)
        return out

    # ------------------------------------------------------------------------------------------------ what is asked

    def rule(self, name: str) -> Rule | None:
        """The rule of that id, if it runs."""
        return self._rules.get(name)

    @property
    def rules(self) -> Collection[Rule]:
        """Those that run, in their order."""
        return self._rules.running.values()

    def explain(self, rule: Rule, asked: Asked, now: Instant) -> list[Subject]:
        """What that rule is about, of what is asked about; see `RuleRuntime.explain`."""
        return self._runtimes.of_rule(rule).explain(rule, asked, now)

    @property
    def blind_rules(self) -> Collection[str]:
        """The rules that `blind` has found, as long as they see nothing."""
        return self._health.found_blind

    def blind(self, now: Instant) -> list[Blind]:
        """The rules that have been unknown for all that they concern for an hour; each once, until it sees again."""
        return self._health.blind(
            now, self._rules.running, lambda rule: self._runtimes.of_rule(rule).lacking(rule, now)
        )

    def crowded(self, now: Instant) -> list[Crowded]:
        """The rules of which instances had to be forgotten, so many there are; each once."""
        return self._health.crowded(now, self._rules.running)

    # --------------------------------------------------------------------------------------------------------- parts

    def _set_rules(self, rules: RuleSet) -> None:
        self._rules = rules
        self._history.ask(rules.running.values())
        self._readers.ask(rules.running.values())
        self._runtimes.set_rules(rules)

    def _link(self, venue: Change, now: Instant) -> Iterator[Transition]:
        """A venue's link may have gone down or come up."""
        if not self._links.turns(venue):
            return
        self._groups.settle(now)  # what came before the link turned
        link = self._links.turn(venue)
        yield from self._runtimes.on_link(link, now)
        if not is_down(venue):
            self._groups.connected(now)
            # What was resolved for want of the link may still be so; the venue needn't say it again.
            self._states.look_anew(now)
            lost = [
                rule
                for rule in self._rules.running.values()
                if rule.on_gap == "resolve" and hangs_on_link(rule)
            ]
            yield from self._runtimes.reevaluate(lost, now, venue=link.venue)


def _is_same(known: Rule | None, rule: Rule) -> bool:
    return known is not None and known.fingerprint == rule.fingerprint

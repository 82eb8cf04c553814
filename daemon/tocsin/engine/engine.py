"""The engine: changes and the passing of time in, transitions out. One entrance, no I/O, no clock of its own.

    process(change)   what a venue said      -> the rules that watch it
    settle(now)       that was all of it     -> the rules that watch groups; what came of each change
    advance(now)      a timer has come due   -> for, keep_firing_for, repeat, cooldown; conditions on time
    reload(rules)     the user edited        -> untouched rules notice nothing

Venue changes go through `process` like all others and stop the timers of a venue whose link is down.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta

from msgspec import ValidationError, structs

from tocsin.engine.active_hours import ActiveHours
from tocsin.engine.alert_instance import AlertInstance, asks
from tocsin.engine.changeover import Changeover, left_behind, read
from tocsin.engine.group_rule import GroupRuleRuntime
from tocsin.engine.happenings import Cooldown, Reminder
from tocsin.engine.history import HistoryStore
from tocsin.engine.instances import InstanceStore, RuleInstance, Step, standing, transition
from tocsin.engine.keys import group_fields, happens_in, instance_key
from tocsin.engine.model import Faded, Sample, Saved, Taken, Transition, World
from tocsin.engine.occasions import EventRuleRuntime
from tocsin.engine.partial_match import PartialMatch
from tocsin.engine.rule import Rule
from tocsin.engine.rule_health import Blind, KnownRules, RuleHealth, has_turned
from tocsin.engine.rule_set import RuleSet
from tocsin.engine.sample_log import SampleLog
from tocsin.engine.sequence_rule import SequenceRuleRuntime
from tocsin.engine.state_rule import StateRuleRuntime, lacks
from tocsin.engine.venue_links import VenueLinks, hangs_on_link, is_down
from tocsin.events import Account, Change, Entity, Instant, Key

_REEVALUATE = 1.0  # seconds between looks at groups whose truth changes as time passes
_CLOCK_SET = timedelta(seconds=0.5)  # more than clocks drift between two looks


class Engine:
    """Rule instances and their timers. `new_id` gives the ids of alerts."""

    def __init__(self, rules: Iterable[Rule], world: World, new_id: Callable[[], str]) -> None:
        self._keeping = SampleLog()
        self._memory = HistoryStore(self._keeping)
        self._world = world = self._memory.over(world)
        self._lives = InstanceStore()
        self._sight = RuleHealth(self._keeping)
        self._familiar = KnownRules(self._keeping)
        self._occasions = EventRuleRuntime(self._lives, self._sight, self._memory.tallies, new_id)
        self._links = VenueLinks(self._lives)
        self._following = SequenceRuleRuntime(self._lives, self._sight, self._occasions, self._links.hold)
        self._hours = ActiveHours()
        self._judging = StateRuleRuntime(
            world, self._lives, self._sight, new_id, links=self._links, hours=self._hours
        )
        self._grouped = GroupRuleRuntime(world, self._judging.judge, self._hours.counts, self._links)
        self._changeover = Changeover(
            self._lives, world, self._occasions, self._grouped, links=self._links, hours=self._hours
        )
        self._taken: list[Taken] = []
        self._look_at: float | None = None  # steady: when all that goes by time is next judged
        self._looked_at = float("-inf")  # steady: when groups that go by time were last judged
        self._steady_began: datetime | None = None  # by the wall-clock, as it is set
        self._rules = RuleSet(rules)
        self._run()

    # ------------------------------------------------------------------------------------------------------- entrances

    def process(self, change: Change, now: Instant) -> None:
        """Take in what a venue said. What comes of it `settle` says, when all that the message brings about is taken in."""
        taken = Taken(change, [])
        self._taken.append(taken)
        rules, kind, out = self._rules, change.kind, taken.transitions
        if change.replaces is not None:
            out += self._another_life(change, change.replaces, now)
        change = self._memory.see(change)
        if kind == "venue":
            out += self._link(change, now)
        if concerned := rules.concerned(change, self._judging.restless(change.key)):
            out += self._evaluated(concerned, change, now)
        self._grouped.changed(change, taken, now)
        if change.ended and not change.passing:
            self._memory.forget((change.key,))
        if kind == "account" and rules.reading_account:
            self._account_moved(change, taken, now)

    def settle(self, now: Instant) -> list[Taken]:
        """Everything that the changes since the last call start, end and tell; of groups, that they are as they now stand."""
        self._grouped.settle(now)
        taken, self._taken = self._taken, []
        for each in taken:
            found = each.transitions
            if len(found) > 1:
                found.sort(key=lambda transition: self._rules.order[transition.rule])
            each.tells = each.tells or any(transition.tell for transition in found)
        return taken

    def advance(self, now: Instant) -> list[Transition]:
        """Everything that has come due by `now`, in the order in which it came due."""
        out: list[Transition] = []
        for turned in self._hours.passed(now):
            out += self._due(turned.at.steady, now)
            judged = self._judged if turned.open else self._changeover.closed
            out += judged((turned.rule,), now)
        out += self._due(now.steady, now)
        if self._rules.timed:
            out += self._look(now)
        return out

    def deadline(self) -> float | None:
        """The steady time at which `advance` next has something to do, if nothing happens before."""
        times = [self._lives.next_due(), self._hours.deadline()]
        if self._rules.timed:
            times += (self._look_at, self._judging.turns.next())
            if self._rules.timed_groups:
                times.append(self._looked_at + _REEVALUATE)
        return min((at for at in times if at is not None), default=None)

    def rule(self, name: str) -> Rule | None:
        """The rule of that id, if it runs."""
        return self._rules.get(name)

    def recall(self, samples: Iterable[Sample]) -> None:
        """What the last run had handed out by `remembered`; before `restore`."""
        samples = self._familiar.restore(samples)
        self._memory.restore(self._sight.restore(samples, self._rules.running.values()), self._world)

    def remembered(self) -> list[Sample | Faded]:
        """What is to be kept for the next run, or needn't be any more, since the last call; in this order."""
        return self._keeping.drain()

    def restore(
        self,
        saved: Iterable[Saved],
        alive: Instant | None,
        now: Instant,
        leave: Callable[[], Iterable[Transition]] = tuple,
    ) -> tuple[list[Transition], list[tuple[Saved, str]]]:
        """Go on where the last run was last seen `alive`; rules edited in between are treated as in a reload.

        `leave` is called when all that was saved lives again and nothing is judged yet: it ends what isn't to go on.
        Beside the transitions: what couldn't be read, and why.
        """
        self._links.restore(self._world.live("venue"))
        self._hours.set(self._rules.running.values(), now)
        # Before that every feed says that its venue isn't connected yet.
        self._looked_at, self._look_at = now.steady, now.steady + _REEVALUATE
        out: list[Transition] = []
        unreadable: list[tuple[Saved, str]] = []
        torn: set[str] = set()  # the rules of what couldn't be read
        order = self._rules.order  # in which what is due at one instant is told
        for row in sorted(saved, key=lambda row: order.get(row.rule, -1)):
            rule = self._rules.get(row.rule)
            try:
                kept = read(row, rule, alive, now)
            except (KeyError, TypeError, ValueError, ValidationError) as error:
                torn.add(row.rule)
                unreadable.append((row, repr(error)))
                continue
            if rule is None:
                out += self._changeover.end(kept.life, now, self._rules.why_gone(row.rule))
                continue
            if kept.life.key != row.instance:
                if self._lives.get(rule.id, kept.life.key) is not None:  # two spellings, which are one now
                    kept.life.key = row.instance
                    out += self._changeover.end(kept.life, now, "rule changed")
                    continue
                out.append(left_behind(row, kept.life, now))
            out += self._changeover.resumed(kept, rule, now)
        out += leave()
        self._grouped.build(now)
        out += self._changeover.closed(self._rules.running.values(), now)
        untimed = [rule for rule in self._rules.running.values() if rule.id not in self._rules.timed]
        said = {
            rule.id
            for rule in untimed
            if rule.id not in torn
            and self._familiar.knows(rule)
            and not (alive is not None and has_turned(rule, alive.wall, now.wall))
        }
        with self._judging.only_seeing(said):
            out += self._judged(untimed, now)
        self._familiar.run(self._rules.running.values(), now)
        return out, unreadable

    def reload(self, rules: Iterable[Rule], now: Instant) -> list[Transition]:
        """Other rules from now on. A rule whose meaning is unchanged keeps its state and notices nothing."""
        old, self._rules = self._rules, RuleSet(rules)
        self._hours.set(self._rules.running.values(), now)
        self._run()
        self._grouped.build(now)
        self._look_at = now.steady
        out: list[Transition] = []
        for life in self._lives:
            was, rule = life.rule, self._rules.get(life.rule.id)
            if rule is None:
                out += self._changeover.end(life, now, self._rules.why_gone(was.id))
            elif rule.fingerprint == was.fingerprint:
                life.adopt(rule, now)
                self._lives.keep(life)
            else:
                out += self._changeover.edited(life, rule, asks(was), group_fields(was), now)
        fresh = [rule for rule in self._rules.running.values() if not _is_same(old.get(rule.id), rule)]
        for forgotten in (old.running.keys() - self._rules.running.keys()) | {rule.id for rule in fresh}:
            self._sight.forget(forgotten)
        out += self._changeover.closed(fresh, now)
        out += self._judged(fresh, now)
        self._familiar.run(self._rules.running.values(), now)
        return out

    def acknowledge(self, alert_id: str, now: Instant) -> list[Transition]:
        """No more reminders of this alert."""
        for life in self._lives:
            if isinstance(life, AlertInstance) and life.alert_id == alert_id and life.state != "inactive":
                life.acked, life.remind_at = True, None
                self._lives.keep(life)
                return [transition(life, Step(trace="acknowledged"), now)]
            if isinstance(life, Reminder) and life.key == alert_id:
                self._lives.forget(life)
                return [transition(life, Step(trace="acknowledged"), now, keep=False)]
        return []

    def forget(self, keys: Iterable[Key], now: Instant) -> list[Transition]:
        """These entities are to be no longer known: their alerts end as they stand, and nothing is remembered of them."""
        gone = frozenset(keys)
        lives = [
            life
            for life in self._lives
            if isinstance(life, AlertInstance) and life.entity in gone and not life.rule.is_group
        ]
        out = [moved for life in lives for moved in self._changeover.end(life, now, "forgotten")]
        self._memory.forget(gone)
        return [*out, *self._grouped.gone(gone, now)]

    def venues_removed(self, venues: Collection[str], now: Instant) -> list[Transition]:
        """These venues are no longer configured: nobody will tell what becomes of their entities."""
        out: list[Transition] = []
        for venue in venues:
            self._links.forget(venue)
        for life in self._lives:
            if isinstance(life, PartialMatch):
                out += self._following.venues_removed(life, venues, now)
            elif isinstance(life, AlertInstance) and life.entity.venue in venues:
                out += self._changeover.end(life, now, "venue removed")
        out += self._grouped.venues_removed(venues, now)
        for venue in venues:
            self._memory.forget_venue(venue)
        return out

    @property
    def blind_rules(self) -> Collection[str]:
        """The rules that `blind` has found, as long as they see nothing."""
        return self._sight.found_blind

    def blind(self, now: Instant) -> list[Blind]:
        """The rules that have been unknown for all that they concern for an hour; each once, until it sees again."""

        def wants(rule: Rule) -> tuple[str, ...] | None:
            if rule.is_event_rule:
                return self._sight.missing(rule.id)
            judged = (self._grouped if rule.is_group else self._judging).verdicts(rule, now)
            if not judged or any(truth is not None for _, truth in judged):
                return None
            return lacks(rule, judged[0][0], now)

        return self._sight.blind(now, self._rules.running, wants)

    # -------------------------------------------------------------------------------------------------- which rules look

    def _evaluated(self, rules: Iterable[Rule], change: Change, now: Instant) -> Iterator[Transition]:
        key = instance_key(change.key)
        for rule in rules:
            if not self._hours.counts(rule):
                continue
            if rule.sequel is not None:
                yield from self._following.happened(rule, change, now)
            elif rule.is_event_rule:
                if happens_in(change, rule.events):
                    yield from self._occasions.happened(rule, change, now)
            elif change.passing:
                continue
            elif rule.is_level:
                yield from self._judging.judge(rule, key, change, now)
            else:
                yield from self._occasions.edge(rule, change, now)

    def _another_life(self, change: Change, over: Entity, now: Instant) -> Iterator[Transition]:
        """What had this id before is over, told or not: its alerts end as it last stood, and nothing of it is remembered."""
        last = standing(structs.replace(change, state=over, replaces=None))
        key = instance_key(change.key)
        for life in [self._lives.get(rule, key) for rule in self._lives.rules_of(change.key)]:
            if isinstance(life, AlertInstance):
                yield from self._changeover.end(life, now, f"another {change.kind} has this id", last)
        self._memory.forget((change.key,))

    # ----------------------------------------------------------------------------------------------------- state rules

    def _look(self, now: Instant) -> Iterator[Transition]:
        """Time has passed: what may have turned by that is judged again."""
        began = now.wall - timedelta(seconds=now.steady)
        if self._steady_began is None or abs(began - self._steady_began) > _CLOCK_SET:
            if self._steady_began is not None:
                self._look_at = now.steady  # the clock was set: ages are other ones now
            self._steady_began = began
        due = self._judging.turns.due(now)
        if self._look_at is not None and self._look_at <= now.steady:
            self._look_at = None
            there = [
                standing(change) for kind in self._rules.timed_kinds for change in self._world.live(kind)
            ]
            yield from self._judging.standing(there, now, self._rules.timed)
        elif due:
            found = map(self._world.get, dict.fromkeys(key for _, key in due))
            there = [standing(change) for change in found if change is not None and not change.ended]
            yield from self._judging.standing(there, now, {rule for rule, _ in due})
        if self._rules.timed_groups and now.steady - self._looked_at >= _REEVALUATE:
            self._looked_at = now.steady
            yield from self._grouped.look(now)

    def _account_moved(self, change: Change, taken: Taken, now: Instant) -> None:
        """Rules on orders and positions that read their account are judged again when the account moves."""
        account = change.state if isinstance(change.state, Account) else None
        below = [
            standing(owned, account) for owned in self._world.of_account(change.key.venue, change.key.id)
        ]
        taken.transitions += self._judging.standing(below, now, self._rules.reading_account)
        self._grouped.moved(below, taken, now)

    def _timer(self, life: RuleInstance, change: Change | None, now: Instant) -> Iterator[Transition]:
        """A life's time has come. `change` is its entity as it stands, where the life is an instance."""
        if isinstance(life, Cooldown):
            yield from self._occasions.quiet_over(life, now)
        elif isinstance(life, Reminder):
            yield from self._reminder(life, now)
        elif isinstance(life, PartialMatch):
            yield from self._following.passed(life, now)
        else:
            yield from self._judging.passed(life, change, now)

    def _reminder(self, life: Reminder, now: Instant) -> Iterator[Transition]:
        """What would remind out of hours does so when they begin."""
        if self._hours.counts(life.rule):
            yield self._occasions.remind(life, now)
            return
        life.next_at = self._hours.begins(life.rule, now)
        self._lives.keep(life)
        yield transition(life, Step(trace="the reminder waits for the rule's hours"), now)

    def _due(self, steady: float, now: Instant) -> Iterator[Transition]:
        """The timers that are due by that time, in their order."""
        for life in self._lives.pop_due(steady):
            yield from self._timer(life, self._changeover.standing(life, now), now)

    def _judged(self, rules: Collection[Rule], now: Instant) -> Iterator[Transition]:
        """Everything that these rules are about, as it stands."""
        yield from self._judging.all_standing(rules, now)
        yield from self._grouped.judge_all(now, {rule.id for rule in rules})

    def _run(self) -> None:
        """Other rules run from now on: other things are to be remembered."""
        self._judging.rules = self._rules
        self._memory.ask(self._rules.running.values())
        self._grouped.set_rules(self._rules.running.values(), self._rules.reading_account)

    def _link(self, venue: Change, now: Instant) -> Iterator[Transition]:
        """A venue's link may have gone down or come up."""
        if not self._links.turns(venue):
            return
        self._grouped.settle(now)  # what came before the link turned
        yield from self._links.turned(venue, now, self._changeover.end)
        if not is_down(venue):
            self._look_at = now.steady
            yield from self._taken_up(venue.key.id, now)

    def _taken_up(self, venue: str, now: Instant) -> Iterator[Transition]:
        """What was resolved for want of the link may still be so; the venue needn't say it again."""
        lost = {
            rule.id: rule
            for rule in self._rules.running.values()
            if rule.on_gap == "resolve" and hangs_on_link(rule)
        }
        there = (change for change in self._judging.live(lost.values()) if change.venue == venue)
        yield from self._judging.standing(there, now, lost)
        yield from self._grouped.judge_all(now, lost, venue)


def _is_same(known: Rule | None, rule: Rule) -> bool:
    return known is not None and known.fingerprint == rule.fingerprint

"""The engine: changes and the passing of time in, transitions out. One entrance, no I/O, no clock of its own.

    process(change)   what a venue said      -> the rules that watch it
    advance(now)      a timer has come due   -> for, keep_firing_for, repeat, cooldown; conditions on time
    reload(rules)     the user edited        -> untouched rules notice nothing

Venue changes go through `process` like all others and stop the timers of a venue whose link is down.
"""

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from operator import itemgetter

from msgspec import ValidationError

from tocsin.engine import states
from tocsin.engine.changeover import Changeover, gone_rule
from tocsin.engine.context import matches_event
from tocsin.engine.following import Following
from tocsin.engine.grouped import Grouped
from tocsin.engine.happenings import Quiet, Reminding, group_fields
from tocsin.engine.hours import OUT_OF_HOURS, Hours
from tocsin.engine.instance import Instance, asks
from tocsin.engine.links import UNHELD, hangs_on_link, is_down
from tocsin.engine.lives import Life, Lives, due, instance_key, revive
from tocsin.engine.memory import Memory
from tocsin.engine.model import Faded, Sample, Saved, Transition, World
from tocsin.engine.occasions import Occasions
from tocsin.engine.rule import Rule
from tocsin.engine.rulebook import Rulebook
from tocsin.engine.sequences import Awaiting
from tocsin.engine.sight import Sight
from tocsin.engine.states import Step
from tocsin.engine.transitions import before, standing, transition
from tocsin.events import Account, Change, Instant, Key

_REEVALUATE = 1.0  # seconds between looks at conditions whose truth changes as time passes
_NOTHING: tuple[Transition, ...] = ()


class Engine:
    """Rule instances and their timers. `new_id` gives the ids of alerts."""

    def __init__(self, rules: Iterable[Rule], world: World, new_id: Callable[[], str]) -> None:
        self._memory = Memory()
        self._world = world = self._memory.over(world)
        self._new_id = new_id
        self._lives = Lives()
        self._sight = Sight()
        self._occasions = Occasions(self._lives, self._sight, self._memory.tallies, new_id)
        self._following = Following(self._lives, self._sight, self._occasions, self._held)
        self._hours = Hours()
        self._grouped = Grouped(world, self._judge, self._hours.counts, self._held)
        self._changeover = Changeover(self._lives, world, self._occasions, self._grouped)
        self._down: set[str] = set()
        self._looked_at = float("-inf")
        self._looking = True  # whether there is anything whose truth changes as time passes
        self._rules = Rulebook(rules)
        self._asked()

    # ------------------------------------------------------------------------------------------------------- entrances

    def process(self, change: Change, now: Instant) -> list[Transition]:
        """Everything that this change starts, ends and tells, in the order of the rules."""
        rules, kind = self._rules, change.kind
        change = self._memory.see(change, passing=kind == "trade" and self._is_passing(change))
        out = list(self._link(change, now)) if kind == "venue" else []
        if concerned := rules.concerned(change, self._restless(change.key)):
            out += self._evaluated(concerned, change, now)
        out += self._grouped.changed(change, now)
        if change.ended:
            self._memory.forget((change.key,))
        if kind in rules.timed_kinds:
            self._looking = True
        if kind == "account" and rules.reading_account:
            out += self._account_moved(change, now)
        if len(out) > 1:
            out.sort(key=lambda each: rules.order[each.rule])
        return out

    def advance(self, now: Instant) -> list[Transition]:
        """Everything that has come due by `now`, in the order in which it came due."""
        out: list[Transition] = []
        for turned in self._hours.passed(now):
            out += self._due(turned.at.steady, now)
            out += self._opened((turned.rule,), now) if turned.open else self._closed((turned.rule,), now)
        out += self._due(now.steady, now)
        if self._looking and self._rules.timed and now.steady - self._looked_at >= _REEVALUATE:
            self._looked_at = now.steady
            out += self._look(now)
        return out

    def deadline(self) -> float | None:
        """The steady time at which `advance` next has something to do, if nothing happens before."""
        look = self._looked_at + _REEVALUATE if self._looking and self._rules.timed else None
        times = (self._lives.next_due(), look, self._hours.deadline())
        return min((at for at in times if at is not None), default=None)

    def rule(self, name: str) -> Rule | None:
        """The rule of that id, if it runs."""
        return self._rules.get(name)

    def recall(self, samples: Iterable[Sample]) -> None:
        """What the last run had handed out by `remembered`; before `restore`."""
        self._memory.restore(samples, self._world)

    def remembered(self) -> list[Sample | Faded]:
        """What is to be kept for the next run, or needn't be any more, since the last call; in this order."""
        return self._memory.drain()

    def restore(
        self,
        saved: Iterable[Saved],
        alive: Instant | None,
        now: Instant,
        leave: Callable[[], Iterable[Transition]] = tuple,
    ) -> tuple[list[Transition], list[str]]:
        """Go on where the last run was last seen `alive`; rules edited in between are treated as in a reload.

        `leave` is called when all that was saved lives again and nothing is judged yet: it ends what isn't to go on.
        Beside the transitions: what couldn't be read, and why.
        """
        self._down = {venue.key.id for venue in self._world.live("venue") if is_down(venue)}
        self._hours.set(self._rules.running.values(), now)
        self._looked_at = now.steady  # before that every feed says that its venue isn't connected yet
        out: list[Transition] = []
        unreadable: list[str] = []
        for row in saved:
            rule = self._rules.get(row.rule)
            try:
                life = revive(rule or gone_rule(row.rule, row.record), row.instance, row.record, alive, now)
                asked, grouped, edited = row.record["asks"], row.record.get("per"), row.record["fingerprint"]
            except (KeyError, TypeError, ValueError, ValidationError) as error:
                unreadable.append(f"instance {row.instance:.200} of rule {row.rule}: {error!r:.200}")
                continue
            if rule is None:
                out += self._changeover.end(life, now, self._rules.why_gone(row.rule))
                continue
            if isinstance(life, Instance | Awaiting) and not self._held(rule, life.entity.venue):
                life.thaw(now)
            self._lives.keep(life)
            if edited != rule.fingerprint:
                out += self._changeover.edited(life, rule, asked, grouped, now)
            elif (
                isinstance(life, Instance)
                and life.state == "inactive"
                and self._changeover.standing(life, now) is None
            ):
                self._lives.forget(life)
                out.append(transition(life, Step(trace="its entity is forgotten"), now, keep=False))
            else:
                life.adopt(rule, now)
                self._lives.keep(life)
                out.append(transition(life, Step(trace="restored"), now))
        out += leave()
        out += self._closed(self._rules.running.values(), now)
        untimed = self._rules.running.keys() - self._rules.timed
        out += self._judge_standing(self._live(self._rules.running.values()), now, untimed)
        out += self._grouped.judge_all(now, untimed)
        return out, unreadable

    def reload(self, rules: Iterable[Rule], now: Instant) -> list[Transition]:
        """Other rules from now on. A rule whose meaning is unchanged keeps its state and notices nothing."""
        old, self._rules = self._rules, Rulebook(rules)
        self._hours.set(self._rules.running.values(), now)
        self._asked()
        self._looking = True
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
        fresh = {
            rule.id: rule for rule in self._rules.running.values() if not _is_same(old.get(rule.id), rule)
        }
        for forgotten in (old.running.keys() - self._rules.running.keys()) | fresh.keys():
            self._sight.forget(forgotten)
        out += self._closed(fresh.values(), now)
        out += self._judge_standing(self._live(fresh.values()), now, fresh)
        out += self._grouped.judge_all(now, fresh)
        return out

    def acknowledge(self, alert_id: str, now: Instant) -> list[Transition]:
        """No more reminders of this alert."""
        for life in self._lives:
            if isinstance(life, Instance) and life.alert_id == alert_id and life.state != "inactive":
                life.acked, life.remind_at = True, None
                self._lives.keep(life)
                return [transition(life, Step(trace="acknowledged"), now)]
            if isinstance(life, Reminding) and life.key == alert_id:
                self._lives.forget(life)
                return [transition(life, Step(trace="acknowledged"), now, keep=False)]
        return []

    def forget(self, keys: Iterable[Key], now: Instant) -> list[Transition]:
        """These entities are gone (retention); so is what was remembered of their state, told of or not."""
        gone = frozenset(keys)
        lives = [
            life
            for life in self._lives
            if isinstance(life, Instance) and life.entity in gone and not life.rule.is_group
        ]
        for life in lives:
            self._lives.forget(life)
        self._memory.forget(gone)
        step = Step(trace="its entity is forgotten")
        out = [transition(life, step, now, state="inactive", keep=False) for life in lives]
        return [*out, *self._grouped.gone(gone, now)]

    def venue_removed(self, venue: str, now: Instant) -> list[Transition]:
        """The venue is no longer configured: nobody will tell what becomes of its entities."""
        self._down.discard(venue)
        out: list[Transition] = []
        for life in self._lives:
            if isinstance(life, Instance | Awaiting) and life.entity.venue == venue:
                out += self._changeover.end(life, now, "venue removed")
        out += self._grouped.venue_removed(venue, now)
        self._memory.forget_venue(venue)
        return out

    def blind(self, now: Instant) -> list[str]:
        """The rules that have been unknown for all that they concern for an hour; each once, until it sees again."""

        def sees(rule_id: str) -> bool:
            rule = self._rules.running[rule_id]
            if rule.is_event_rule:
                return False
            if rule.is_group:
                truths = self._grouped.verdicts(rule, now)
                return not truths or any(truth is not None for truth in truths)
            concerned = [
                truth
                for kind in rule.kinds
                for change in self._world.live(kind)
                if (truth := states.verdict(rule, standing(change), now)) is not False
                or states.concerns(rule, change, now)
            ]
            return not concerned or any(truth is not None for truth in concerned)

        return self._sight.blind(now.steady, sees)

    # -------------------------------------------------------------------------------------------------- which rules look

    def _restless(self, key: Key) -> Collection[str]:
        """The rules to which a change of that entity is news even if it makes their conditions false."""
        living, unseeing = self._lives.rules_of(key), self._sight.unseeing
        return {*living, *unseeing} if unseeing else living

    def _evaluated(self, rules: Iterable[Rule], change: Change, now: Instant) -> Iterator[Transition]:
        key = instance_key(change.key)
        passing = change.kind == "trade" and self._is_passing(change)
        for rule in rules:
            if not self._hours.counts(rule):
                continue
            if rule.sequel is not None:
                yield from self._following.happened(rule, change, now)
            elif rule.is_event_rule:
                if any(matches_event(rule, name) for name in change.events):
                    yield from self._occasions.happened(rule, change, now)
            elif passing:
                continue
            elif rule.is_level:
                yield from self._judge(rule, key, change, now)
            else:
                yield from self._occasions.edge(rule, change, now)

    def _judge_standing(
        self, changes: Iterable[Change], now: Instant, rules: Container[str]
    ) -> Iterator[Transition]:
        """Judge these entities as they stand, nothing having happened to them, by these rules, one rule after the other.

        While a venue is away no time passes for its entities.
        """
        index, order, timed = self._rules.index, self._rules.order, self._rules.timed
        concerned: list[tuple[int, Rule, Change]] = []
        for change in changes:
            held = change.venue in self._down and change.kind not in UNHELD
            concerned += [
                (order[rule.id], rule, change)
                for rule in index.candidates(change, self._restless(change.key))
                if rule.is_level
                and rule.id in rules
                and not (held and rule.id in timed)
                and self._hours.counts(rule)
            ]
        concerned.sort(key=itemgetter(0))
        for _, rule, change in concerned:
            yield from self._judge(rule, instance_key(change.key), change, now)

    def _live(self, rules: Iterable[Rule]) -> Iterator[Change]:
        """Everything that lives of the kinds that these state rules watch, as it stands."""
        for kind in dict.fromkeys(kind for rule in rules if rule.is_level for kind in rule.kinds):
            yield from map(standing, self._world.live(kind))

    # ----------------------------------------------------------------------------------------------------- state rules

    def _judge(self, rule: Rule, key: str, change: Change, now: Instant) -> Sequence[Transition]:
        life = self._lives.get(rule.id, key)
        out: list[Transition] = []
        if life is not None and (at := due(life)) is not None and at <= now.steady:
            # Due before this change came: what the entity was then decides.
            out += self._timer(life, before(change), now)
            life = self._lives.get(rule.id, key)
        truth = states.verdict(rule, change, now)
        if truth is not False or states.concerns(rule, change, now):
            self._sight.note(rule, truth, now.steady)
        if life is None and truth is not True:
            return out
        instance = life if isinstance(life, Instance) else Instance(rule, key, change.key)
        step = states.judge(instance, change, now, truth, self._new_id)
        if step is not None:
            if self._held(rule, change.venue):
                instance.freeze(now)
            out.append(self._moved(instance, step, now))
        return out or _NOTHING

    def _look(self, now: Instant) -> Iterator[Transition]:
        """Time has passed: what is judged by it is judged again."""
        timed = self._rules.timed
        there = [standing(change) for kind in self._rules.timed_kinds for change in self._world.live(kind)]
        self._looking = bool(there)
        yield from self._judge_standing(there, now, timed)
        yield from self._grouped.look(now)

    def _account_moved(self, change: Change, now: Instant) -> Iterator[Transition]:
        """Rules on orders and positions that read their account are judged again when the account moves."""
        account = change.state if isinstance(change.state, Account) else None
        below = [
            standing(owned, account) for owned in self._world.of_account(change.key.venue, change.key.id)
        ]
        yield from self._judge_standing(below, now, self._rules.reading_account)
        yield from self._grouped.moved(below, now, self._rules.reading_account)

    def _timer(self, life: Life, change: Change | None, now: Instant) -> Iterator[Transition]:
        """A life's time has come. `change` is its entity as it stands, where the life is an instance."""
        if isinstance(life, Quiet):
            yield from self._occasions.quiet_over(life, now)
        elif isinstance(life, Reminding):
            yield from self._reminder(life, now)
        elif isinstance(life, Awaiting):
            yield from self._following.passed(life, now)
        elif change is None:
            # Its entity couldn't be read at the start. Nothing can be said until the venue speaks of it.
            life.freeze(now)
            life.remind_at = None
            self._lives.keep(life)
        elif moved := states.passed(life, change, now):
            yield self._moved(life, moved, now)
        else:
            self._lives.keep(life)

    def _reminder(self, life: Reminding, now: Instant) -> Iterator[Transition]:
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

    def _opened(self, rules: Collection[Rule], now: Instant) -> Iterator[Transition]:
        """The hours of these rules begin: entities are judged as they are."""
        opened = {rule.id for rule in rules}
        yield from self._judge_standing(self._live(rules), now, opened)
        yield from self._grouped.judge_all(now, opened)

    def _closed(self, rules: Iterable[Rule], now: Instant) -> Iterator[Transition]:
        """Those of these rules that don't count now have ended: their alerts are over, and nothing waits any longer."""
        closed = {rule.id for rule in rules if not self._hours.counts(rule)}
        for life in self._lives if closed else ():
            if life.rule.id not in closed:
                continue
            if isinstance(life, Awaiting) or (isinstance(life, Instance) and life.state != "inactive"):
                yield from self._changeover.end(life, now, OUT_OF_HOURS)

    def _asked(self) -> None:
        """Other rules run from now on: other things are to be remembered."""
        self._memory.ask(self._rules.running.values())
        self._grouped.set_rules(self._rules.running.values())

    def _is_passing(self, change: Change) -> bool:
        """A trade that is older than the latest one: it happened, but it isn't what is so."""
        latest = self._world.get(change.key)
        return latest is not None and latest.state is not change.state

    def _moved(self, instance: Instance, step: Step, now: Instant) -> Transition:
        keep = instance.state != "inactive" or instance.over
        (self._lives.keep if keep else self._lives.forget)(instance)
        return transition(instance, step, now, keep=keep)

    # ------------------------------------------------------------------------------------------------------ venue links

    def _link(self, change: Change, now: Instant) -> Iterator[Transition]:
        """A venue's link goes down or comes up: the timers of what it holds stop, or go on."""
        name, down = change.key.id, is_down(change)
        if down == (name in self._down):
            return
        (self._down.add if down else self._down.discard)(name)
        for life in self._lives:
            if life.entity.venue != name or not hangs_on_link(life.rule):
                continue
            if isinstance(life, Awaiting):
                (life.freeze if down else life.thaw)(now)
                self._lives.keep(life)
                yield transition(life, Step(trace="venue away" if down else "venue back"), now)
            if not isinstance(life, Instance):
                continue
            if down and life.rule.on_gap == "resolve" and life.state != "inactive":
                yield from self._changeover.end(life, now, "venue lost")
            elif life.state in ("pending", "recovering"):
                (life.freeze if down else life.thaw)(now)
                self._lives.keep(life)
                yield transition(life, Step(trace="venue away" if down else "venue back"), now)
        if not down:
            yield from self._taken_up(name, now)

    def _taken_up(self, venue: str, now: Instant) -> Iterator[Transition]:
        """What was resolved for want of the link may still be so; the venue needn't say it again."""
        lost = {
            rule.id: rule
            for rule in self._rules.running.values()
            if rule.on_gap == "resolve" and hangs_on_link(rule)
        }
        there = (change for change in self._live(lost.values()) if change.venue == venue)
        yield from self._judge_standing(there, now, lost)
        yield from self._grouped.judge_all(now, lost, venue)

    def _held(self, rule: Rule, venue: str) -> bool:
        return venue in self._down and hangs_on_link(rule)


def _is_same(known: Rule | None, rule: Rule) -> bool:
    return known is not None and known.fingerprint == rule.fingerprint

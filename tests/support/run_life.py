"""The alerts of one rule that runs actions, in the pipeline, and what the store has of the runs."""

from datetime import timedelta
from decimal import Decimal

from msgspec import structs

from support.outboxes import START
from support.story import compiled
from tocsin.actions.model import ActionSettings, Result
from tocsin.alerts.decide import Route, Routing
from tocsin.alerts.wording import Style
from tocsin.events import Instant, Observation, Order, Position
from tocsin.events.synthetic import link
from tocsin.feed.model import Received
from tocsin.pipeline import Options, Targets
from tocsin.pipeline.acts import Acts, By
from tocsin.pipeline.runtime import EMPTY, Runtime
from tocsin.store.model import Batch

RULE = {
    "id": "red", "watch": "position", "when": "profit < -50", "severity": "warning", "notify": ["phone"],
    "run": {"on_firing": ["hedge"], "on_resolved": ["hook"]},
}  # fmt: skip
ACTIONS = {
    "hedge": ActionSettings(command=("/bin/true",), rate="3/h"),
    "hook": ActionSettings(webhook="https://example.org/hook"),
}
BY = By("anna", "test")
FAILED = Result(ok=False, result="exit 1", reason="exit 1")


def at(seconds: float) -> Instant:
    return Instant(START + timedelta(seconds=seconds), seconds)


class Life:
    """One rule's alerts of one position, and what the store has of the runs."""

    def __init__(self, actions=ACTIONS, route: Route | None = None, **rule) -> None:
        self._route = route or Route()
        self._ids = iter(f"{number:09d}" for number in range(1000))
        self._rules = compiled([{key: value for key, value in (RULE | rule).items() if value is not None}])
        self.rows, self.notes, self.deliveries, self.acts = {}, {}, [], []
        self._start(EMPTY, 0, actions)
        self.link("connected", 0)

    def _options(self, actions) -> Options:
        return Options(
            routing=Routing(channels={"phone": self._route}),
            targets={"phone": Targets(2, timedelta(hours=24), pressable=(1,))},
            style=Style(),
            actions=actions,
        )

    def _start(self, loaded, seconds, actions) -> None:
        self.turn = Runtime(self._rules, self._options(actions), self._ids.__next__, loaded).turn
        self.keep(self.turn.restore(loaded, at(seconds))[0])

    def keep(self, batch: Batch) -> Batch:
        self.rows |= {row.id: row for row in batch.runs}
        self.notes |= batch.notes
        self.deliveries += batch.deliveries
        return batch

    def restart(self, seconds: float, actions=ACTIONS) -> None:
        """On what the store has of runs alone: the alert is forgotten, and the position comes with a snapshot."""
        runs = [row for row in self.rows.values() if not row.is_over]
        notes = {key: note for key, note in self.notes.items() if note is not None}
        self._start(structs.replace(EMPTY, runs=runs, notes=notes, alive=at(seconds)), seconds, actions)

    def reload(self, seconds: float, actions=ACTIONS, rules=None) -> None:
        rules = self._rules if rules is None else compiled(rules)
        self.keep(self.turn.reload(rules, self._options(actions), at(seconds))[0])

    def say(self, observation: Observation, seconds: float) -> None:
        received = Received(venue="fx", observed=(observation,), at=at(seconds))
        self.keep(self.turn.messages([received], at(seconds)))

    def link(self, status: str, seconds: float) -> None:
        self.say(link("fx", status), seconds)

    def order(self, status: str, seconds: float) -> None:
        self.say(Observation(state=Order(id="o1", symbol="B", status=status), account="a1"), seconds)

    def profit(self, value: int, seconds: float, origin: str = "live", entity: str = "p1") -> None:
        state = Position(id=entity, symbol="BTC/USD", side="long", amount=Decimal(1), profit=Decimal(value))
        self.say(Observation(state=state, account="a1", origin=origin), seconds)

    def begin(self, seconds: float, action: str = "hedge", unrecorded: str = "") -> bool:
        run = self.turn.runs.waiting(action)
        assert run is not None
        does = "POST https://example.org" if action == "hook" else '["/bin/true"]'
        batch, begun = self.turn.run_begins(run.id, at(seconds), does, unrecorded)
        self.keep(batch)
        return begun

    def finish(self, seconds: float, result: Result = FAILED) -> None:
        (id_,) = (row.id for row in self.rows.values() if row.status == "begun")
        self.keep(self.turn.run_finished(id_, result, at(seconds)))

    def said(self) -> list[tuple[str, str, str | None]]:
        return [(row.action, row.status, row.reason) for row in self.rows.values()]

    def told(self) -> list[str]:
        """By the first of the channel's URLs."""
        told = [each for each in self.deliveries if each.state_told == "action" and each.target == 0]
        return [each.context["action_failed"] for each in told]

    def tick(self, seconds: float) -> None:
        """Nothing comes; time goes on."""
        self.keep(self.turn.messages([], at(seconds)))

    def questions(self) -> list[tuple[str, int]]:
        """What was asked: of which run, below which URL."""
        return [(each.alert, each.target) for each in self.deliveries if each.state_told == "question"]

    def asked(self) -> str:
        """The one run that is asked about."""
        (id_,) = (row.id for row in self.rows.values() if row.status == "asked")
        return id_

    def take(self, seconds: float) -> None:
        """The channel takes its question."""
        assert self.turn.waits_for(self.asked())
        self.keep(self.turn.taken([self.asked()], at(seconds)))

    def press(self, wish: str, seconds: float, run: str | None = None) -> str:
        """Why it is in vain; "" where it counts."""
        batch, reason = Acts(self.turn).answer(run or self.asked(), wish, BY, at(seconds))
        self.acts += self.keep(batch).acts
        return reason

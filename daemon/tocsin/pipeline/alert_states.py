"""How many instances of each rule are pending, firing or recovering: counted as they turn, so that nobody has to look at them all."""

from collections import Counter

from tocsin.engine.api import AlertState, Transition


class AlertStates:
    """Knows the state of every instance that has one."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], AlertState] = {}
        self._counts: Counter[tuple[str, AlertState]] = Counter()

    def note(self, transition: Transition) -> None:
        of, state = (transition.rule, transition.instance), transition.state
        before = self._of.get(of)
        if before == state:
            return
        if before is not None:
            self._counts[transition.rule, before] -= 1
            if not self._counts[transition.rule, before]:
                del self._counts[transition.rule, before]
        if state == "inactive":
            self._of.pop(of, None)
        else:
            self._of[of] = state
            self._counts[transition.rule, state] += 1

    def of(self, rule: str, instance: str) -> AlertState:
        return self._of.get((rule, instance), "inactive")

    def active(self) -> list[tuple[str, str]]:
        """Rule and instance of all that have one."""
        return [*self._of]

    def counts(self) -> dict[tuple[str, AlertState], int]:
        """By rule and state; what none is in, is left out."""
        return dict(self._counts)

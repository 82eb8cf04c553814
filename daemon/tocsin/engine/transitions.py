"""How the engine says what it did: a step in some life, as a Transition; and entities as they stand, nothing having happened."""

import msgspec

from tocsin.engine.instance import Instance
from tocsin.engine.lives import Life
from tocsin.engine.model import AlertState, Transition
from tocsin.engine.states import Step
from tocsin.events import Account, Change, Instant


def transition(
    life: Life,
    step: Step,
    now: Instant,
    *,
    state: AlertState | None = None,
    alert_id: str | None = None,
    keep: bool = True,
    later: bool = False,
) -> Transition:
    """`keep`: the life goes on, or has to be remembered; without it the store forgets it. `later`: its record is made when
    the batch is written, so that what moves many times in one is written once.
    """
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
        record=(life.to_record if later else life.to_record()) if keep else None,
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


def before(change: Change) -> Change:
    """The entity as it stood until this change; as it is now, where it wasn't known."""
    if change.previous is None:
        return standing(change)
    return msgspec.structs.replace(change, events=(), state=change.previous, ended=False)

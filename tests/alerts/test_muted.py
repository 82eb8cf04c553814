"""Many that waited are told at once, without each being compared with all."""

import pytest

from support.outboxes import context
from tocsin.alerts.muted import MutedNotification, group_released
from tocsin.alerts.wording import Style


class Counted(str):
    __slots__ = ()
    compared = 0

    def __eq__(self, other):
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


@pytest.mark.parametrize(("by", "told"), [("silence", 1), ("another", 300)])
def test_the_work_grows_with_what_waits_not_with_its_square(by, told):
    frozen = context()
    held = [
        MutedNotification(
            alert=Counted(f"a{n}"), rule="r", context=frozen, lasting=False, goes_on=False, by=by, reason=""
        )
        for n in range(300)
    ]
    Counted.compared = 0
    assert len(list(group_released(held, Style()))) == told
    assert Counted.compared <= len(held)

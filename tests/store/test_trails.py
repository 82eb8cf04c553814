"""What the number of an alert was, and what accounts were worth: kept for as long as there is a use for it."""

from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest

from support.stored import T0, alert, at, opened
from tocsin.events import Derived, number
from tocsin.store.model import Batch, EquityRow, Retention, TrailRow
from tocsin.store.reader import Reader


@pytest.fixture
def store(tmp_path):
    with closing(opened(tmp_path)) as store:
        yield store


def trail(alert_id, *values):
    return [TrailRow(alert_id, at(5 * place), number(value)) for place, value in enumerate(values)]


def test_a_trail_is_read_as_it_was_seen(store):
    store.commit(Batch(at=T0, alerts=[alert("a1")], trails=trail("a1", "-1E-8", "0.50", "0.50")))
    store.commit(Batch(at=T0, trails=[TrailRow("a1", at(5), Decimal("0.75"))]))
    found = Reader(store.path).trail("a1")
    assert [(time, str(value)) for time, value in found] == [
        (at(0), "-1E-8"),
        (at(5), "0.75"),
        (at(10), "0.50"),
    ]
    assert found[0][1].wire == "-1E-8", "digit for digit"
    assert Reader(store.path).trail("a2") == []


def test_every_second_point_goes_before_new_ones_come(store):
    store.commit(
        Batch(at=T0, alerts=[alert("a1"), alert("a2")], trails=[*trail("a1", *"01234"), *trail("a2", *"567")])
    )
    store.commit(Batch(at=T0, sparser=["a1"], trails=[TrailRow("a1", at(99), number("9"))]))
    assert [str(value) for _, value in Reader(store.path).trail("a1")] == ["0", "2", "4", "9"]
    assert [str(value) for _, value in Reader(store.path).trail("a2")] == ["5", "6", "7"]


def test_a_trail_goes_with_its_alert(store):
    fired = T0 - timedelta(days=2)
    over = alert("a1", state="resolved", fired_at=fired, resolved_at=fired)
    store.commit(
        Batch(
            at=T0, alerts=[over, alert("a2", fired_at=fired)], trails=[*trail("a1", "1"), *trail("a2", "1")]
        )
    )
    while store.apply_retention(Retention(alerts=timedelta(days=1)), T0).more:
        pass
    assert [len(Reader(store.path).trail(each)) for each in ("a1", "a2")] == [0, 1]


def test_what_accounts_were_worth_is_kept_for_48_hours(store):
    def worth(hours, account="acc"):
        return EquityRow("fx", account, T0 - timedelta(hours=hours), Derived("10.50"))

    store.commit(Batch(at=T0, equity=[worth(49), worth(47), worth(1), worth(1, "other")]))
    reader = Reader(store.path)
    assert [row.account for row in reader.all_equity(T0 - timedelta(hours=2))] == ["acc", "other"]
    assert store.apply_retention(Retention(), T0).equity == 1
    found = reader.equity("fx", "acc", T0 - timedelta(hours=50))
    assert found == [
        (T0 - timedelta(hours=47), Decimal("10.50")),
        (T0 - timedelta(hours=1), Decimal("10.50")),
    ]
    assert reader.equity("fx", "acc", T0 - timedelta(hours=2)) == found[1:]

"""What a run of Tocsin left of its questions, as the next one finds it."""

from datetime import UTC, datetime, timedelta

import pytest

from support.stored import attempt, commit, delivery, opened
from tocsin.store.model import RunRow

NOW = datetime.now(UTC)  # how old a run is, the database's own clock says


def run(id_, status, **more):
    return RunRow(id=id_, action="hedge", alert="a1", status=status, created_at=NOW, **more)


def question(id_, run, **more):
    return delivery(id_, alert=run, state_told="question", created_at=NOW, **more)


def edit(id_, run, became):
    context = {"edit": {"at": "2026-01-01T00:00:00Z", "words": "x", "became": became}, "edit_of": "question"}
    return delivery(id_, alert=run, state_told="edit", context=context, created_at=NOW)


@pytest.fixture
def store(tmp_path):
    store = opened(tmp_path)
    yield store
    store.close()


def test_what_was_taken_without_that_being_noted(store):
    commit(
        store,
        runs=[run("r1", "asked"), run("r2", "asked"), run("r3", "asked", asked_at=NOW), run("r4", "pending")],
        deliveries=[question(f"d{number}", f"r{number}") for number in (1, 2, 3, 4)],
    )
    store.outbox.record([attempt(f"d{number}", "sent", NOW) for number in (1, 3, 4)])
    assert store.outbox.questions_left() == (["r1"], [])


def test_what_is_over_and_doesn_t_say_so(store):
    runs = [run(f"r{number}", "declined", asked_at=NOW, ended_at=NOW) for number in (1, 2, 3, 4)]
    old = run("r5", "ok", asked_at=NOW)
    commit(
        store,
        runs=[
            *runs,
            RunRow(
                **{
                    **{name: getattr(old, name) for name in old.__struct_fields__},
                    "created_at": NOW - timedelta(days=3),
                }
            ),
        ],
        deliveries=[
            *(question(f"d{number}", f"r{number}") for number in (1, 2, 3, 4, 5)),
            edit("e2", "r2", "ended"),
            edit("e3", "r3", "firing"),
        ],
    )
    store.outbox.record([attempt(f"d{number}", "sent", NOW) for number in (1, 2, 3, 5)])
    taken, over = store.outbox.questions_left()
    assert (taken, [each.id for each in over]) == ([], ["r1", "r3"])

"""What becomes of questions about runs, put into their messages: also after a crash, a late message, a disk that refuses."""

from datetime import timedelta

import pytest
import trio
from msgspec import structs

from support.outboxes import START
from tocsin.app.question_remarks import QuestionRemarks
from tocsin.store.errors import StoreUnavailable
from tocsin.store.model import Questions, RunRow

ASKED = RunRow(id="r1", action="hedge", alert="a1", status="asked", created_at=START)
TAKEN = structs.replace(ASKED, asked_at=START)
DECLINED = structs.replace(TAKEN, status="declined", answered_by="anna", ended_at=START)


class World:
    """`refuses`: how often the disk doesn't say where a question stands."""

    def __init__(self, left=None, refuses: int = 0) -> None:
        self.said, self.taken, self._refuses = [], [], refuses
        self.messages = 1  # that ask
        self._left = [*(left or [Questions([], [])])]
        self.remarks = QuestionRemarks(self._question, self._note_taken)

    async def _note_taken(self, runs) -> None:
        self.taken += runs

    async def _question(self, run: str, words: str, *, over: bool, known: int) -> int | None:
        if self._refuses:
            self._refuses -= 1
            return None
        if self.messages > known:
            self.said.append((run, words, over))
        return self.messages

    async def _what_is_left(self) -> Questions:
        found = self._left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def run(self, *steps) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.remarks.mind, self._what_is_left)
            for step in steps:
                await trio.sleep(1)
                step()
            await trio.sleep(60)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("refuses", [0, 3])
async def test_what_became_of_it_is_said_in_the_end(autojump_clock, refuses):
    world = World(refuses=refuses)
    await world.run(lambda: world.remarks.committed([ASKED, TAKEN, DECLINED]))
    assert world.said == [("r1", "declined by anna", True)]


async def test_a_question_that_is_taken_when_it_is_over_already_says_so_once(autojump_clock):
    over = structs.replace(ASKED, status="dropped", reason="it isn't so any more", ended_at=START)
    world = World()
    world.messages = 0

    def take():
        world.messages = 1
        world.remarks.taken("r1")

    await world.run(
        lambda: world.remarks.committed([ASKED]),
        lambda: world.remarks.committed([over]),
        take,
        lambda: world.remarks.taken("r1"),  # the edit is sent
    )
    assert world.said == [("r1", "it isn't so any more", True)]


async def test_taken_while_it_is_asked_says_nothing(autojump_clock):
    world = World()
    await world.run(lambda: world.remarks.committed([ASKED]), lambda: world.remarks.taken("r1"))
    assert world.said == []


async def test_what_the_last_run_of_tocsin_did_not_come_to(autojump_clock):
    world = World([StoreUnavailable("full"), Questions(["r2"], [DECLINED])])
    await world.run()
    assert world.said == [("r1", "declined by anna", True)]
    assert world.taken == ["r2"]


async def test_both_presses_and_the_outcome_are_said(autojump_clock):
    confirmed = structs.replace(TAKEN, status="pending", answered_by="anna", answered_at=START)
    begun = structs.replace(confirmed, status="begun")
    done = structs.replace(begun, status="ok", result="200", ended_at=START + timedelta(seconds=1))
    world = World()
    await world.run(
        *(lambda run=run: world.remarks.committed([run]) for run in (TAKEN, confirmed, begun, done))
    )
    assert world.said == [("r1", "confirmed by anna", False), ("r1", "confirmed by anna: 200", True)]

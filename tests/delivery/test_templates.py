"""Users' templates are rendered by a process of their own, which may take its time and no more; the shipped ones in place."""

import os
import signal
from contextlib import asynccontextmanager
from functools import partial

import pytest
import structlog
import trio

from support.outboxes import context
from tocsin.alerts.wording import Style
from tocsin.delivery import templates as module
from tocsin.delivery.render import render
from tocsin.delivery.templates import Templates

pytestmark = pytest.mark.real
OWN = {
    "title": "{{ symbol }} lost {{ profit }}",
    "message": "{% for n in range(3) %}{{ n }}{% endfor %} by {{ rule }}",
}
SHIPPED = {"title": "stopped out: {{ what }} · {{ where }}"}


def draft(**says):
    return partial(render, context(**says), Style(), delivery_id="d1", notes=("a remark",))


@asynccontextmanager
async def templates(deadline=10.0):
    made = Templates(structlog.get_logger(), deadline=deadline)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run)
        with trio.fail_after(60):
            yield made
        nursery.cancel_scope.cancel()
    assert made._worker is None


@pytest.mark.parametrize("says", [{}, SHIPPED])
async def test_without_a_template_of_one_s_own_there_is_no_process(says):
    async with templates() as made:
        assert await made.render(draft(**says)) == draft(**says)()
        assert made._worker is None


async def test_it_makes_the_same_message(monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter2secret")
    async with templates() as made:
        for says in (OWN, {"title": OWN["title"]}, {"message": "{{ profit / 0 }}"}):
            assert await made.render(draft(**says)) == draft(**says)()
        pid = made._worker.pid
        assert b"hunter2secret" not in await trio.Path(f"/proc/{pid}/environ").read_bytes()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_one_that_takes_too_long_is_told_in_our_words_and_left_alone_for_a_while():
    async with templates() as made:
        await made.render(draft(**OWN))
        made._deadline = 0.2
        os.kill(made._worker.pid, signal.SIGSTOP)
        message = await made.render(draft(**OWN))
        assert message.title == draft()().title
        assert "a remark" in message.body
        assert "(the template was not used: it took longer than 0.2 s)" in message.body
        assert made._worker is None
        assert "a moment ago" in (await made.render(draft(**OWN))).body
        made._deadline = 10.0
        assert (await made.render(draft(message="other"))).body == draft(message="other")().body


async def test_a_process_that_is_gone_is_started_anew():
    async with templates() as made:
        await made.render(draft(**OWN))
        os.kill(made._worker.pid, signal.SIGKILL)
        await made._worker.wait()
        assert "the process that renders it is gone" in (await made.render(draft(**OWN))).body
        assert await made.render(draft(**OWN)) == draft(**OWN)()


async def test_an_answer_that_nobody_waits_for_is_not_taken_for_another():
    async with templates() as made:
        await made.render(draft(**OWN))
        os.kill(made._worker.pid, signal.SIGSTOP)
        with trio.move_on_after(0.05):
            await made.render(draft(message="one"))
        assert (await made.render(draft(message="two"))) == draft(message="two")()


async def test_several_wait_for_their_turn():
    found = {}

    async def one(made, n):
        found[n] = (await made.render(draft(message=f"number {n}"))).body

    async with templates() as made, trio.open_nursery() as nursery:
        for n in range(10):
            nursery.start_soon(one, made, n)
    assert all(f"number {n}" in body for n, body in found.items())
    assert len(found) == 10


async def test_a_start_that_is_slow_is_waited_for_longer_than_a_turn(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.001)
    async with templates() as made:
        assert await made.render(draft(**OWN)) == draft(**OWN)()


async def test_why_a_template_was_not_used_is_told_as_it_was(monkeypatch):
    async with templates() as made:
        monkeypatch.setattr(module, "_START", 0.001)
        assert "wasn't ready within 0.001 s)" in (await made.render(draft(**OWN))).body
        assert made._worker is None
        monkeypatch.setattr(module, "_START", 60.0)
        monkeypatch.setattr(module, "_PATIENCE", 0.001)
        told = []

        async def another():
            told.append(await made.render(draft(**OWN)))

        async with made._turn, trio.open_nursery() as others:
            others.start_soon(another)
        assert "others take too long)" in told[0].body
        assert await made.render(draft(**OWN)) == draft(**OWN)()

from collections.abc import Iterator

import pytest

from support.both_outboxes import InMemory, StoredOutbox
from support.outboxes import START
from support.receivers import HttpReceiver, MailReceiver, Services
from tocsin.store.database import Database, inline


@pytest.fixture
def services(tmp_path, monkeypatch) -> Iterator[Services]:
    with Services(tmp_path) as stand_in:
        for name, value in stand_in.environment.items():
            monkeypatch.setenv(name, value)
        yield stand_in


@pytest.fixture
def receiver(monkeypatch) -> Iterator[HttpReceiver]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with HttpReceiver() as stand_in:
        yield stand_in


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    with MailReceiver(password="hunter2secret") as stand_in:
        yield stand_in


@pytest.fixture(params=["memory", "sqlite"])
async def outbox(request, tmp_path):
    if request.param == "memory":
        yield InMemory()
        return
    database = await Database.open(tmp_path, now=START, run_sync=inline)
    yield StoredOutbox(database)
    await database.close()

from collections.abc import Iterator

import pytest

from support.daemon import MAIL_PASSWORD, Folder, People
from support.receivers import MailReceiver, Services
from tocsin.simulator import Exchange


@pytest.fixture
def people(tmp_path) -> Iterator[People]:
    with Services(tmp_path) as services, MailReceiver(password=MAIL_PASSWORD) as mail:
        yield People(services, mail)


@pytest.fixture
def folder(tmp_path, people) -> Folder:
    return Folder(tmp_path / "tocsin", people.services.environment)


@pytest.fixture
async def exchange(nursery) -> Exchange:
    """All venues, simulated, as long as the test lasts."""
    made = Exchange()
    await nursery.start(made.serve)
    return made

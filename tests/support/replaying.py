"""Recordings written by hand, and `tocsin replay` on them."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio
from click.testing import CliRunner, Result

from tocsin.alerts.wording import Style
from tocsin.cli import cli
from tocsin.clock import ManualClock
from tocsin.events import Observation, Position, iso, number
from tocsin.events.synthetic import link
from tocsin.ruletest.file_parser import read_tests
from tocsin.ruletest.simulation import Simulation

_FIXTURES = Path(__file__).parents[1] / "fixtures" / "yourfintech"
START = datetime(2024, 11, 15, 12, 55, 20, tzinfo=UTC)


def message(name: str, **changes) -> str:
    said = json.loads((_FIXTURES / f"position_{name}.json").read_text())
    (position,) = said["message_type"]["server_message"]["position"].values()
    position |= changes
    return json.dumps(said)


def write(path: Path, *lines: tuple[float, str]) -> Path:
    path.write_text(
        "".join(
            json.dumps({"received": iso(START + timedelta(seconds=at)), "stream": "s", "message": text})
            + "\n"
            for at, text in lines
        )
    )
    return path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ("replay", *arguments), prog_name="tocsin")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def replayed(*arguments: str) -> dict:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def at_p1(profit: str, status: str = "open", id_: str = "p1") -> Observation:
    state = Position(id=id_, symbol="BTCUSD", side="long", profit=number(profit), status=status)
    return Observation(state=state, account="a1")


def lived(here: Path, rules: str, messages: Iterable[tuple[float, tuple[Observation, ...]]]) -> Simulation:
    """A run of these rules in which fx says so, and is away at last; what it kept is in state/."""
    (here / "it.yaml").write_text(
        f"rules: {rules}\nchannels: [phone]\ntests: [{{name: it, steps: [{{at: 0s, expect: []}}]}}]\n"
    )
    tests = read_tests(here / "it.yaml")
    clock = ManualClock(START)

    async def run_it() -> Simulation:
        async with trio.open_nursery() as nursery:
            simulation = Simulation(
                style=Style(),
                rules=tests.rules,
                channels=tests.channels,
                clock=clock,
                state_dir=here / "state",
                nursery=nursery,
            )
            await simulation.start(["fx"])
            for at, message in messages:
                await simulation.run_until(at)
                await simulation.say("fx", message)
            await simulation.say("fx", (link("fx", "disconnected"),))
            await simulation.settle()
            await simulation.stop()
        return simulation

    return trio.run(run_it, clock=clock)

"""`tocsin test`."""

from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from tocsin.cli import FAILED
from tocsin.cli.options import counted, format_option, paint, print_json

if TYPE_CHECKING:
    from tocsin.ruletest.model import RuleTests
    from tocsin.venues.json.examples import Tried


@click.command("test")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("-v", "--verbose", is_flag=True, help="Name the tests that pass too.")
@format_option
@click.pass_context
def command(ctx: click.Context, files: tuple[Path, ...], *, verbose: bool, output: str) -> None:
    """Run rule tests, on a fake clock through the engine, store and delivery that run in production.

    Without FILES those in rules/tests here, else those of the shipped rules. A folder stands for the *.yaml in it, a
    file of rules for its tests, a venue's description for its examples. No config is read and nothing is sent. Exits 0
    when all pass, 1 when one fails, 78 when a test file or its rules are wrong.

    \b
    Examples:
      tocsin test
      tocsin test rules/tests/positions.yaml
      tocsin test venues/deribit.yaml
      tocsin test --json | jq '.tests[] | select(.passed|not)'
    """
    from tocsin.config.descriptions import described, is_description, try_examples
    from tocsin.ruletest.report import as_json, failure_text, notes_text
    from tocsin.ruletest.runner import Result, run_tests

    begun = perf_counter()
    venues = {path: described(str(path)) for path in files if path.is_file() and is_description(path)}
    left = [path for path in files if path not in venues]
    sound = _rule_tests(left) if left or not venues else []

    def tell(result: Result) -> None:
        if output == "json":
            return
        if result.failure is not None:
            click.echo(f"{paint('FAILED', 'red', bold=True)} {failure_text(result)}\n")
            return
        if verbose:
            click.echo(f"{paint('passed', 'green')} {result.test.place.file}: {result.test.name}")
        for note in notes_text(result):
            click.echo(f"{paint('note', 'yellow', bold=True)} {note}\n")

    results = [result for tests in sound for result in run_tests(tests, tell)]
    examples = [tried for venue in venues.values() for tried in try_examples(venue, datetime.now(UTC))]
    failed = sum(result.failure is not None for result in results) + sum(
        bool(each.wrong) for each in examples
    )
    if output == "json":
        count = len(results) + len(examples)
        summary: dict[str, Any] = {"passed": count - failed, "failed": failed}
        told = [_as_json(each) for each in examples]
        print_json(summary | {"tests": [*(as_json(result) for result in results), *told]})
    else:
        for each in examples:
            _tell_example(each, verbose=verbose)
        steps = sum(len(result.test.steps) for result in results)
        tests = f"{counted(len(results), 'test')} in {counted(len(sound), 'file')}, {counted(steps, 'step')}"
        shown = f"{counted(len(examples), 'example')} in {counted(len(venues), 'description')}"
        what = ", ".join([tests] * bool(sound) + [shown] * bool(venues)) or tests
        verdict = (
            paint(f"{failed} failed", "red", bold=True) if failed else paint("all passed", "green", bold=True)
        )
        click.echo(f"{verdict}: {what}, {perf_counter() - begun:.2f} s")
    ctx.exit(FAILED if failed else 0)


def _rule_tests(files: "list[Path]") -> "list[RuleTests]":
    """The tests in these files. Raises ConfigError with what is wrong in all of them."""
    from tocsin.errors import ConfigError, Problem
    from tocsin.ruletest.file_parser import read_tests, test_files

    sound: list[RuleTests] = []
    problems: list[Problem] = []
    for path in test_files(files):
        try:
            sound.append(read_tests(path))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return sound


def _tell_example(tried: "Tried", *, verbose: bool) -> None:
    if tried.wrong:
        click.echo(f"{paint('FAILED', 'red', bold=True)} {tried.place}: {tried.about}\n    {tried.wrong}\n")
    elif verbose:
        click.echo(f"{paint('passed', 'green')} {tried.place.file}: {tried.about}")


def _as_json(tried: "Tried") -> dict[str, Any]:
    found = {
        "file": tried.place.file,
        "line": tried.place.line,
        "name": tried.about,
        "passed": not tried.wrong,
    }
    return found | ({"failure": tried.wrong} if tried.wrong else {})

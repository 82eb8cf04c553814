"""`tocsin test`."""

from pathlib import Path
from time import perf_counter
from typing import Any

import click

from tocsin.cli import FAILED
from tocsin.cli.options import counted, format_option, paint, print_json


@click.command("test")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("-v", "--verbose", is_flag=True, help="Name the tests that pass too.")
@format_option
@click.pass_context
def command(ctx: click.Context, files: tuple[Path, ...], *, verbose: bool, output: str) -> None:
    """Run rule tests, on a fake clock through the engine, store and delivery that run in production.

    Without FILES those in rules/tests here, else those of the shipped rules. A folder stands for the *.yaml in it, a
    file of rules for its tests. No config is read and nothing is sent. Exits 0 when all pass, 1 when one fails, 78 when
    a test file or its rules are wrong.

    \b
    Examples:
      tocsin test
      tocsin test rules/tests/positions.yaml
      tocsin test --json | jq '.tests[] | select(.passed|not)'
    """
    from tocsin.errors import ConfigError, Problem
    from tocsin.ruletest.file_parser import read_tests, test_files
    from tocsin.ruletest.model import RuleTests
    from tocsin.ruletest.report import as_json, failure_text, notes_text
    from tocsin.ruletest.runner import Result, run_tests

    begun = perf_counter()
    sound: list[RuleTests] = []
    problems: list[Problem] = []
    for path in test_files(files):
        try:
            sound.append(read_tests(path))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)

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
    failed = sum(result.failure is not None for result in results)
    if output == "json":
        summary: dict[str, Any] = {"passed": len(results) - failed, "failed": failed}
        print_json(summary | {"tests": [as_json(result) for result in results]})
    else:
        steps = sum(len(result.test.steps) for result in results)
        what = f"{counted(len(results), 'test')} in {counted(len(sound), 'file')}, {counted(steps, 'step')}"
        verdict = (
            paint(f"{failed} failed", "red", bold=True) if failed else paint("all passed", "green", bold=True)
        )
        click.echo(f"{verdict}: {what}, {perf_counter() - begun:.2f} s")
    ctx.exit(FAILED if failed else 0)

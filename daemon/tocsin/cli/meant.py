"""What is said where an ID is nobody's, or several have that beginning."""

from pathlib import Path
from typing import Any

import click

from tocsin.alerts.plain import flat


def which_alert(called: str, answer: dict[str, Any], socket: Path) -> None:
    """On standard error: that it is no alert's, and which may be meant."""
    found = [
        f"{row['id']}  {row['state']}  {row['rule']}  {flat(row['title'])}"
        for row in answer["several"] or answer["near"]
    ]
    _say("alert", called, found, several=bool(answer["several"]), socket=socket)


def which_silence(called: str, answer: dict[str, Any], socket: Path) -> None:
    """On standard error, as `which_alert`."""
    found = [f"{row['id']}  {flat(row['matchers'])}" for row in answer["several"] or answer["near"]]
    _say("silence", called, found, several=bool(answer["several"]), socket=socket)


def _say(what: str, called: str, found: list[str], *, several: bool, socket: Path) -> None:
    if several:
        lead = f"several {what}s begin with {called}"
    else:
        lead = f"the daemon at {socket} knows no {what} {called}" + ("; did you mean" if found else "")
    click.echo(
        "\n".join([f"tocsin: {lead}{':' if found else ''}", *(f"  {each}" for each in found)]), err=True
    )

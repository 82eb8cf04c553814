"""Logs: no secret, no forged line, no local variables."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tocsin.app.logs import make_log
from tocsin.secrets import Masker

TOKEN = 'tok"en-\N{SNOWMAN}-123456'


@pytest.fixture
def masker() -> Masker:
    masker = Masker()
    masker.add(TOKEN)
    return masker


def logged(masker: Masker, form: Any, **fields: Any) -> str:
    stream = io.StringIO()
    make_log(masker, log_format=form, stream=stream).warning("said", **fields)
    return stream.getvalue()


def crashed(masker: Masker, form: Any, text: str) -> str:
    stream = io.StringIO()
    log = make_log(masker, log_format=form, stream=stream)
    hidden = "a local variable"
    try:
        raise ValueError(text)  # noqa: TRY301 - raised here so that the locals here could be shown
    except ValueError:
        log.exception("crashed", size=len(hidden))
    return stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_secret_is_masked_wherever_it_stands(masker: Masker, form: str) -> None:
    for line in (
        logged(masker, form, url=f"wss://x/?t={TOKEN}"),
        logged(masker, form, several=[TOKEN], deep={"a": {"b": TOKEN}}),
        crashed(masker, form, f"refused {TOKEN}"),
    ):
        assert "123456" not in line.replace("\\", "")
        assert "***" in line


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("newline", ["\n", "\r", "\r\n", "\x85", "\u2028", "\x0b", "\x1b[2J\n", "\ud800\n"])
def test_no_text_of_a_venue_forges_a_line(masker: Masker, form: str, newline: str) -> None:
    forged = f'x{newline}{{"level": "error", "event": "FORGED"}}'
    for text in (logged(masker, form, symbol=forged), logged(masker, form, symbols=[forged])):
        assert len(text.splitlines()) == 1, text
        assert "\x1b" not in text
        assert "FORGED" in text
        text.encode()
    assert all(
        "FORGED" not in line or line.startswith(("  | ", '{"'))
        for line in crashed(masker, form, forged).splitlines()
    )


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_says_where_and_no_more(masker: Masker, form: str) -> None:
    text = crashed(masker, form, "broken")
    assert "test_logs.py" in text
    assert "ValueError: broken" in text
    assert "a local variable" not in text.replace('hidden = "a local variable"', "")


def test_json_lines_have_time_level_and_fields(masker: Masker) -> None:
    line = json.loads(logged(masker, "json", venue="fx", count=3))
    assert (line["event"], line["level"], line["venue"], line["count"]) == ("said", "warning", "fx", 3)
    assert line["time"].endswith("Z")


def test_below_its_level_nothing_is_said(masker: Masker) -> None:
    stream = io.StringIO()
    log = make_log(masker, log_format="json", level="warning", stream=stream)
    log.info("quiet")
    log.error("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_a_mask_learns_the_secrets_of_a_new_configuration(masker: Masker) -> None:
    other = Masker()
    other.add("a-new-token")
    other.renew("fx", ["a-ticket"])
    masker.include(other)
    assert masker.mask("a-new-token a-ticket") == "*** ***"


@pytest.mark.parametrize(("stands", "lead"), [("its own", "<4>"), ("another's", ""), (None, "")])
def test_the_journal_is_told_how_bad_a_line_is_where_the_stream_is_its_own(
    masker: Masker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stands: str | None, lead: str
) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        there = os.fstat(stream.fileno())
        values = {
            "its own": f"{there.st_dev}:{there.st_ino}",
            "another's": f"{there.st_dev}:{there.st_ino + 1}",
        }
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
        if stands is not None:
            monkeypatch.setenv("JOURNAL_STREAM", values[stands])
        make_log(masker, log_format="json", stream=stream).warning("said")
        stream.seek(0)
        (line,) = stream.read().splitlines()
    assert line.startswith(f"{lead}{{")
    assert json.loads(line.removeprefix(lead))["event"] == "said"

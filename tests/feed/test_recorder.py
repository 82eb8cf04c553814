"""Raw messages are kept in files of bounded size, the latest of them, in order."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from support.fake_venue import Lines
from tocsin.events import Instant
from tocsin.feed.recorder import Recorder, recordings, unstamped

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
MOST = 8000  # bytes: ten messages of a hundred bytes a file


@pytest.fixture
def path(tmp_path):
    return tmp_path / "recordings" / "fx.jsonl"


def record(path, first, last, *, most=MOST, log=None, text="x" * 22):
    recorder = Recorder(path, "fx", log or Lines(), most=most)
    for n in range(first, last):
        recorder.append(f"{n:04}{text}", "s", Instant(START + timedelta(seconds=n), float(n)))
    recorder.close()


def kept(path) -> list[int]:
    (files,) = recordings(path.parent.iterdir()).values()
    return [int(json.loads(line)["message"][:4]) for file in files for line in file.read_text().splitlines()]


def size(path) -> int:
    return sum(file.stat().st_size for file in path.parent.iterdir())


def test_what_fits_is_in_one_file(path):
    record(path, 0, 10)
    assert [file.name for file in path.parent.iterdir()] == ["fx.jsonl"]
    assert kept(path) == list(range(10))


def test_a_full_file_is_set_aside_under_its_time(path):
    record(path, 0, 11)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "fx.20260301T100010000000Z.jsonl",
        "fx.jsonl",
    ]
    assert kept(path) == list(range(11))
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in path.parent.iterdir())


def test_the_latest_are_kept_within_the_size(path):
    record(path, 0, 1000)
    assert size(path) <= MOST
    left = kept(path)
    assert left == list(range(1000 - len(left), 1000))
    assert len(left) >= 70


def test_it_goes_on_with_what_was_there_before(path):
    for n in range(0, 300, 3):
        record(path, n, n + 3)
    assert size(path) <= MOST
    assert kept(path)[-70:] == list(range(230, 300))


@pytest.mark.parametrize("torn", ['{"received": "2026-03-01T10:0', '{"received": "2026', "\0\0\0\0"])
def test_after_a_line_that_a_crash_tore_it_begins_a_fresh_one(path, torn):
    record(path, 0, 1)
    with path.open("a") as file:
        file.write(torn)
    record(path, 1, 3)
    lines = path.read_text().splitlines()
    assert lines[1] == torn
    assert [json.loads(line)["message"][:4] for line in (lines[0], *lines[2:])] == ["0000", "0001", "0002"]


def test_what_a_larger_limit_had_left_goes(path):
    record(path, 0, 500, most=10 * MOST)
    record(path, 500, 600)
    assert size(path) <= MOST
    assert kept(path)[-1] == 599


def test_a_message_larger_than_a_file_has_one_of_its_own(path):
    record(path, 0, 3, text="y" * 1500)
    assert kept(path) == [0, 1, 2]
    assert len(list(path.parent.iterdir())) == 3


def test_other_files_are_left_alone(path):
    path.parent.mkdir()
    others = [
        path.with_name(name)
        for name in ("px.jsonl", "fx.jsonl.gz", "fx.old.jsonl", "fx2.20260301T100010000000Z.jsonl")
    ]
    for other in others:
        other.write_text("mine" * 9000)
    record(path, 0, 200)
    assert all(other.exists() for other in others)
    assert all(unstamped(other) != path for other in others)


def test_a_disk_that_refuses_ends_it_told_once(path):
    path.parent.write_text("a file where the folder should be")
    log = Lines()
    record(path, 0, 5, log=log)
    assert log.text().count("recording stopped") == 1

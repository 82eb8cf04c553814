"""What Prometheus reads: as promtool would have it, every series there from the start, and few enough of them."""

import shutil
import subprocess
from time import perf_counter

import pytest

from support.measured import measured, series, stored
from tocsin.control.metrics import MOST_RULES, exposition
from tocsin.meters import Meters

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool (Debian: apt install prometheus)")


def text_of(now, known, accept="") -> str:
    return exposition(now, known, accept)[0].decode()


@pytest.mark.real
@needs_promtool
@pytest.mark.parametrize("known", [stored(), None], ids=["whole", "without the database"])
def test_promtool_finds_nothing_to_complain_of(known):
    text = text_of(measured(venues=2, channels=2, rules=3), known)
    done = subprocess.run(
        [str(PROMTOOL), "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_all_series_are_there_from_the_start():
    found = series(text_of(measured(), stored()))
    counted = {name: value for name, value in found.items() if "_total" in name or "_count" in name}
    assert {name for name, value in counted.items() if value} == set()
    for name in (
        'tocsin_alerts_fired_total{rule="rule0",severity="warning"}',
        'tocsin_notifications_total{channel="channel0",told="escalation"}',
        'tocsin_sends_total{channel="channel0",outcome="refused"}',
        'tocsin_venue_disconnects_total{venue="venue0"}',
        'tocsin_events_total{kind="order",origin="live",venue="venue0"}',
        'tocsin_notifications_held_total{reason="silence"}',
        'tocsin_heartbeats_total{outcome="withheld"}',
        'tocsin_send_seconds_count{channel="channel0"}',
    ):
        assert name in counted


def test_there_are_few_enough_and_they_are_made_soon():
    now, known = measured(venues=5, channels=5, rules=100), stored()
    text = text_of(now, known)
    assert sum(not line.startswith("#") for line in text.splitlines()) <= 1500
    took = []
    for _ in range(5):
        began = perf_counter()
        text_of(now, known)
        took.append(perf_counter() - began)
    assert min(took) <= 0.020


@pytest.mark.parametrize(("rules", "told_apart"), [(MOST_RULES, True), (MOST_RULES + 1, False)])
def test_very_many_rules_are_no_labels(rules, told_apart):
    counted = Meters()
    counted.pipeline.fired["rule7", "warning"] = 2
    counted.pipeline.fired["rule8", "warning"] = 1
    found = series(text_of(measured(rules=rules, counted=counted), stored()))
    assert any('rule="' in name for name in found) is told_apart
    assert found['tocsin_rules{enabled="true"}'] == rules
    if not told_apart:
        assert found['tocsin_alerts_fired_total{severity="warning"}'] == 3


def test_what_the_database_does_not_tell_is_left_out_and_that_is_said():
    whole, without = series(text_of(measured(), stored())), series(text_of(measured(), None))
    assert (whole["tocsin_scrape_incomplete"], without["tocsin_scrape_incomplete"]) == (0, 1)
    assert {name.partition("{")[0] for name in whole.keys() - without.keys()} == {
        "tocsin_alerts_unacknowledged", "tocsin_database_bytes", "tocsin_deliveries_waiting", "tocsin_wal_bytes",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("accept", "content_type", "last"),
    [
        ("", "text/plain; version=0.0.4", ""),
        (
            "application/openmetrics-text;version=1.0.0",
            "application/openmetrics-text; version=1.0.0",
            "# EOF",
        ),
    ],
)
def test_openmetrics_where_it_is_asked_for(accept, content_type, last):
    text, told = exposition(measured(), stored(), accept)
    assert told.startswith(content_type)
    assert text.decode().rstrip("\n").endswith(last)

"""What Prometheus reads: as promtool would have it, every series there from the start, and few enough of them."""

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from support.measured import NOW, measured, series, stored
from tocsin.control.measures import ChannelMeasures
from tocsin.control.metrics import MOST_RULES, exposition, families
from tocsin.meters import Meters
from tocsin.shipped import shipped

HERE, RULES = Path(__file__).parent, shipped("rules") / "prometheus" / "tocsin.yml"
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


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ('application/openmetrics-text;version="', "text/plain; version=0.0.4"),
        ("application/openmetrics-text;version=0.0.1", "text/plain; version=0.0.4"),
        ("application/openmetrics-text;version=9\r\nX: y", "text/plain; version=0.0.4"),
        ("text/plain;version=;;=,", "text/plain; version=0.0.4"),
        ("text/html, application/openmetrics-text", "application/openmetrics-text; version=1.0.0"),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;q=0.4",
            "application/openmetrics-text; version=1.0.0",
        ),
    ],
)
def test_the_format_is_one_of_two_whatever_is_asked_for(accept, kind):
    text, content_type = exposition(measured(), None, accept)
    assert content_type == f"{kind}; charset=utf-8"
    assert text.endswith(b"# EOF\n") is kind.startswith("application")


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


def test_there_are_few_enough():
    text = text_of(measured(venues=5, channels=5, rules=100), stored())
    assert sum(not line.startswith("#") for line in text.splitlines()) <= 1500


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


def alerts() -> list[dict]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


@pytest.mark.real
@needs_promtool
def test_the_ready_made_alerts_fire_when_they_should(tmp_path):
    cases = tmp_path / "tests.yaml"
    cases.write_text((HERE / "prometheus_rules.yaml").read_text().replace("RULES", str(RULES), 2))
    for command in (("check", "rules", str(RULES)), ("test", "rules", str(cases))):
        done = subprocess.run(
            [str(PROMTOOL), *command], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_ready_made_alert_is_tested_and_reads_what_there_is():
    tested = {each["alertname"] for test in cases() for each in test["alert_rule_test"] if each["exp_alerts"]}
    silent = {each["alertname"] for each in cases()[0]["alert_rule_test"]}
    assert tested == silent == {each["alert"] for each in alerts()}
    now, known = measured(), stored(waiting={"channel0": (1, NOW, NOW)})
    there = {sample.name for family in families(now, known) for sample in family.samples}
    read = {name for each in alerts() for name in re.findall(r"tocsin_\w+", each["expr"])}
    assert read <= there


def cases() -> list[dict]:
    return yaml.safe_load((HERE / "prometheus_rules.yaml").read_text())["tests"]


@pytest.mark.parametrize(
    ("quiet", "waiting", "since"),
    [
        (False, (2, NOW - timedelta(hours=5), None), 5),
        (True, (2, NOW - timedelta(hours=5), None), None),
        (True, (2, NOW - timedelta(hours=5), NOW - timedelta(hours=1)), 1),
        (False, None, None),
    ],
)
def test_what_waits_for_the_morning_is_no_message_that_waits_too_long(quiet, waiting, since):
    channels = (ChannelMeasures(name="phone", up=True, in_storm=False, quiet=quiet),)
    known = stored(waiting={"phone": waiting} if waiting else {})
    found = series(text_of(replace(measured(), channels=channels), known))
    oldest = found.get('tocsin_delivery_oldest_waiting_timestamp_seconds{channel="phone"}')
    assert oldest == (None if since is None else (NOW - timedelta(hours=since)).timestamp())
    assert found['tocsin_deliveries_waiting{channel="phone"}'] == (waiting or (0,))[0]

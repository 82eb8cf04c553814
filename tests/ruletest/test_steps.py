"""Every kind of step, as its user writes it; and what is said when a test fails."""

from pathlib import Path

import pytest

from tocsin.errors import ConfigError
from tocsin.ruletest.file_parser import read_tests
from tocsin.ruletest.model import RuleTests
from tocsin.ruletest.report import as_json, failure_text, notes_text
from tocsin.ruletest.runner import run_test, run_tests

HERE = Path(__file__).parent
PASSING = [
    pytest.param(tests, test, id=f"{path.stem}: {test.name}")
    for path in sorted((HERE / "passing").glob("*.yaml"))
    if path.stem != "rules"
    for tests in [read_tests(path)]
    for test in tests.tests
]


@pytest.mark.parametrize(("tests", "test"), PASSING)
def test_it_does_what_the_format_says(tests: RuleTests, test):
    result = run_test(tests, test)
    assert result.failure is None, failure_text(result)


CANCELED = "at: 0s, venue: fx, order: {{id: {}, status: canceled}}\n"
RED = """
rules:
  - {id: in-the-red, watch: position, when: profit < -50, for: 30s, notify: [phone]}
  - {id: canceled, watch: order.canceled, title: "{{ symbol }}"}
channels: [phone, desk]
tests:
  - name: it
    steps:
"""


def failing(tmp_path, steps: str, head: str = RED) -> str:
    path = tmp_path / "it.yaml"
    path.write_text(head + "".join(f"      - {{{step.strip()}}}\n" for step in steps.strip().splitlines()))
    (result,) = run_tests(read_tests(path))
    assert result.failure is not None, "it passed"
    return failure_text(result).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    "steps",
    [
        # Told, and not expected; not yet told; another one told.
        "at: 0s, venue: fx, order: {id: o1, status: canceled}\nat: 0s, expect: []",
        "at: 0s, venue: fx, position: {id: p1, profit: -60}\nat: 29s, expect: [{rule: in-the-red}]",
        "at: 0s, venue: fx, order: {id: o1, status: canceled}\nat: 0s, expect: [{rule: in-the-red}]",
        # One more, one less, another order.
        "at: 0s, venue: fx, order: {id: o1, status: canceled}\nat: 0s, expect: [{rule: canceled}, {rule: canceled}]",
        f"{CANCELED.format('o1')}{CANCELED.format('o2')}at: 0s, expect: [{{id: o1}}]",
        f"{CANCELED.format('o1')}{CANCELED.format('o2')}at: 0s, expect: [{{id: o2}}, {{id: o1}}]",
        # Any of an item's fields.
        *(
            f"at: 0s, venue: fx, order: {{id: o1, symbol: BTC, status: canceled}}\nat: 0s, expect: [{{{field}}}]"
            for field in (
                "rule: in-the-red", "id: o2", "id: o", "state: resolved", "channels: [phone]", "title: BT", "title: /^C/",
                "body: canceled", "body: /nothing of it/", "late: true", "late: 5m", "suppressed: 1", "alerts: []",
            )
        ),
        # The alerts of state rules that last.
        "at: 0s, venue: fx, position: {id: p1, profit: -60}\nat: 0s, expect_alerts: []",
        "at: 0s, venue: fx, position: {id: p1, profit: -60}\nat: 30s, expect_alerts: [{state: pending}]",
        "at: 0s, venue: fx, order: {id: o1, status: canceled}\nat: 0s, expect_alerts: [{rule: canceled}]",
        # Nobody to acknowledge.
        "at: 0s, ack: {rule: in-the-red, id: p1}",
    ],
)  # fmt: skip
def test_expectations_are_exact(tmp_path, steps):
    failing(tmp_path, steps)


def test_a_failure_shows_what_came_beside_what_was_expected_and_why(tmp_path):
    text = failing(
        tmp_path,
        """
        at: 0s, venue: fx, position: {id: p1, symbol: BTCUSD, profit: -60}
        at: 1m, venue: fx, order: {id: o1, symbol: ETHUSD, status: canceled}
        at: 1m30s, expect: [{rule: in-the-red, id: p1, state: firing, channels: [phone, desk]}, {rule: in-the-red, id: p2}, {rule: canceled, title: BTCUSD}]
        """,
    )
    assert text == (
        "it.yaml:11:21: it\n"
        "  at 1m30s, 2026-01-01 00:01:30 UTC:\n"
        "      expected                            came\n"
        "    ! firing in-the-red p1 [desk phone]   firing in-the-red p1 [phone] at 30s\n"
        "    ! in-the-red p2                       nothing\n"
        "    ! canceled                            firing canceled o1 [desk phone] at 1m\n"
        "    3. title expected: BTCUSD\n"
        "    3. title came:     🟠 ETHUSD\n"
        "    trace of in-the-red for p1:\n"
        "          0s  pending: profit -60 < -50: pending for 30s\n"
        "         30s  firing: profit -60 < -50\n"
        "         now  position p1 (BTCUSD) on fx: firing since 2026-01-01 00:00:30 UTC\n"
        "                when profit < -50: yes, profit -60 < -50\n"
        "    trace of in-the-red for p2:\n"
        "         now  it watches position, and nothing such called p2 is known\n"
        "    trace of canceled for o1:\n"
        "          1m  firing: happened\n"
        "         now  order.canceled o1 (ETHUSD) on fx: raised an alert at 2026-01-01 00:01:00 UTC"
    )


ELSE = """
rules:
  - {id: ended, watch: order.canceled, when: amount > 5}
  - {id: group, watch: position, per: [account], when: sum(profit) < -100}
  - {id: drop, watch: ticker, when: drawdown(last) > 5}
  - {id: unfilled, watch: order.open, unless: {watch: order.filled, within: 1m}}
"""


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("at: 0s, venue: fx, position: {id: p1, symbol: X}\nat: 1m, expect: [{rule: in-the-red, id: p1}]",
         "when profit < -50: unknown, profit is missing"),
        # Named without an id, or not at all.
        ("at: 0s, venue: fx, position: {id: p1, profit: -5}\nat: 1m, expect: [{rule: in-the-red}]",
         "when profit < -50: no, profit -5 >= -50"),
        ("at: 0s, venue: fx, position: {id: p1, profit: -5}\nat: 1m, expect: [{state: firing}]",
         "when profit < -50: no, profit -5 >= -50"),
        ("at: 1m, expect: [{rule: canceled}]", "it watches order.canceled, and nothing such is known"),
        # What happened to something that has ended, a group, what is remembered, what followed.
        ("at: 0s, venue: fx, order: {id: o1, amount: 3, status: canceled}\nat: 1m, expect: [{rule: ended, id: o1}]",
         "when amount > 5: no, amount 3 <= 5"),
        ("at: 0s, venue: fx, account: a1, position: {id: p1, profit: -5}\nat: 1m, expect: [{rule: group, id: a1}]",
         "when sum(profit) < -100: no, sum(profit) -5 >= -100"),
        (("at: 0s, venue: fx, ticker: {symbol: X, last: 100}\nat: 1s, venue: fx, ticker: {symbol: X, last: 99}\n"
         "at: 1s, expect: [{rule: drop, id: X}]"), "when drawdown(last) > 5: no, drawdown(last) 1 <= 5"),
        (("at: 0s, venue: fx, order: {id: o1, status: open}\nat: 1s, venue: fx, order: {id: o1, status: filled}\n"
         "at: 1m, expect: [{rule: unfilled, id: o1}]"), "unless order.filled within 1m: no, order.filled of o1 came 1s later"),
        # What fires, and isn't told.
        (("at: 0s, silence: {match: rule=in-the-red, for: 1h}\nat: 0s, venue: fx, position: {id: p1, profit: -60}\n"
         "at: 30s, expect: [{rule: in-the-red, id: p1}]"), "held back by silence: rule=in-the-red, until 2026-01-01 01:00:00 UTC"),
        (("at: 0s, channel_fails: phone\nat: 0s, venue: fx, position: {id: p1, profit: -60}\n"
         "at: 30s, expect: [{rule: in-the-red, id: p1}]"), "held back by channel phone: firing is pending"),
        ("at: 0s, venue: fx, position: {id: p1, profit: -60}\nat: 10s, expect: [{rule: in-the-red, id: p1}]",
         "held back by for: 10s of 30s have passed"),
    ],
)  # fmt: skip
def test_a_failure_says_why_nothing_was_told(tmp_path, steps, said):
    more = "\n".join(ELSE.strip().splitlines()[1:])
    assert said in failing(tmp_path, steps, RED.replace("channels:", f"{more}\nchannels:"))


def test_a_test_ends_at_its_first_failure_and_the_next_one_runs(tmp_path):
    path = tmp_path / "it.yaml"
    step = "{at: 0s, venue: fx, order: {id: o1, status: canceled}}"
    path.write_text(
        RED + f"      - {step}\n      - {{at: 0s, expect: []}}\n      - {{at: 1s, expect: [{{}}]}}\n"
        f"  - name: the next\n    steps:\n      - {step}\n      - {{at: 0s, expect: [{{rule: canceled}}]}}\n"
    )
    first, second = run_tests(read_tests(path))
    assert first.failure is not None
    assert first.failure.step.at == 0
    assert second.failure is None


def test_a_file_without_channels_has_those_of_its_rules_or_one(tmp_path):
    path = tmp_path / "it.yaml"
    for notify, channels in ((", notify: [a, b]", "[a, b]"), ("", "[channel]")):
        path.write_text(
            f"rules: [{{id: x, watch: order.canceled{notify}}}]\ntests:\n  - name: it\n    steps:\n"
            "      - {at: 0s, venue: fx, order: {id: o1, status: canceled}}\n"
            f"      - {{at: 0s, expect: [{{channels: {channels}}}]}}\n"
        )
        (result,) = run_tests(read_tests(path))
        assert result.failure is None


def test_a_failure_after_a_reload_that_was_refused_says_why_it_was(tmp_path):
    text = failing(
        tmp_path,
        "at: 0s, reload: [{id: new, watch: order.cancelled, when: amuont > 5}]\n"
        "at: 1s, venue: fx, order: {id: o1, amount: 6, status: canceled}\n"
        "at: 1s, expect: [{id: o1, body: /new/}]",
    )
    assert "at 0s (line 9) the reload was refused, so the rules before it ran on: " in text
    assert "unknown field `amuont`" in text
    assert "did you mean `amount`?" in text


OFF = """
rules: [{id: off, watch: order.canceled, enabled: false}, {id: too, watch: order.canceled, enabled: false}]
channels: [phone]
tests:
  - name: it
    steps:
"""


def test_rules_that_are_switched_off_run_where_the_file_says_so(tmp_path):
    path = tmp_path / "it.yaml"
    told = f"      - {{{CANCELED.format('o1').strip()}}}\n      - {{at: 0s, expect: [ITEM]}}\n"
    again = (
        "      - {at: 1s, reload: [{id: off, watch: order.canceled, when: amount > 5, enabled: false}]}\n"
        "      - {at: 1s, venue: fx, order: {id: o2, amount: 6, status: canceled}}\n"
        "      - {at: 1s, expect: [{rule: off, id: o2}]}\n"
    )
    for head, item, more in (("", "", ""), ("enabled: [off]\n", "{rule: off}", again)):
        path.write_text(head + OFF + told.replace("ITEM", item) + more)
        (result,) = run_tests(read_tests(path))
        assert result.failure is None, failure_text(result)


def test_or_where_the_test_says_so(tmp_path):
    path = tmp_path / "it.yaml"
    told = f"      - {{{CANCELED.format('o1').strip()}}}\n      - {{at: 0s, expect: [ITEM]}}\n"
    here = OFF.replace("  - name: it\n", "  - name: it\n    enabled: [off]\n") + told.replace(
        "ITEM", "{rule: off}"
    )
    path.write_text(here + "  - name: other\n    steps:\n" + told.replace("ITEM", ""))
    assert [result.failure for result in run_tests(read_tests(path))] == [None, None]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("all", "enabled: must be a list of rules"),
        ("[{rule: off}]", "enabled: must be a list of rules"),
        ("[of]", "did you mean `off`?"),
    ],
)
def test_what_is_switched_on_is_a_list_of_rules_that_there_are(tmp_path, written, said):
    path = tmp_path / "it.yaml"
    path.write_text(f"enabled: {written}\n{OFF}      - {{at: 0s, expect: []}}\n")
    with pytest.raises(ConfigError) as caught:
        read_tests(path)
    assert said in str(caught.value)


GARBAGE = "at: 1s, venue: px, type: piexgo, message: not json"
STRANGE = "at: 1s, venue: px, type: piexgo, message: {channel: gossip}"
FAULTY = "at: 1s, reload: [{id: x, watch: position, when: profitt < 3}]"
WATCHING = "[{id: told, watch: [venue.malformed, venue.unrecognized, daemon.reload_failed]}]"


def run_one(tmp_path, *steps: str, rules: str = "[]"):
    path = tmp_path / "it.yaml"
    written = "".join(f"    - {{{step}}}\n" for step in steps)
    path.write_text(f"rules: {rules}\ntests:\n- name: it\n  steps:\n{written}")
    (result,) = run_tests(read_tests(path))
    return result


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (GARBAGE, "the decoder of piexgo can't read the message (venue.malformed): "),
        (STRANGE, "the decoder of piexgo doesn't know the message (venue.unrecognized): "),
        (FAULTY, "the reload was refused, so the rules before it ran on: "),
        ("at: 1s, reload: nofile.yaml", "no such file"),
    ],
)
def test_what_a_step_came_to_unexpectedly_is_noted_of_a_test_that_passes(tmp_path, step, said):
    passed = run_one(tmp_path, step, "at: 1s, expect: []")
    assert passed.failure is None
    (note,) = notes_text(passed)
    assert note.startswith(f"{tmp_path}/it.yaml:5:")
    assert ": it\n    at 1s (line 5) " in note
    assert said in note
    (told,) = as_json(passed)["notes"]
    assert (told["line"], told["at"], said in told["said"]) == (5, "1s", True)
    failed = run_one(tmp_path, step, "at: 1s, expect: [{rule: /none/}]")
    assert "    at 1s (line 5) " in failure_text(failed)
    assert said in failure_text(failed)
    assert as_json(failed)["notes"] == [told]


@pytest.mark.parametrize("step", [GARBAGE, STRANGE, FAULTY])
def test_what_a_rule_of_the_test_tells_needs_no_note(tmp_path, step):
    passed = run_one(tmp_path, step, "at: 1s, expect: [{rule: told}]", rules=WATCHING)
    assert passed.failure is None, failure_text(passed)
    assert notes_text(passed) == []
    assert as_json(passed)["notes"] == []


def test_the_same_in_another_order_is_said_to_be_that(tmp_path):
    both = [CANCELED.format(name).strip() for name in ("o1", "o2")]
    rules = "[{id: canceled, watch: order.canceled}]"
    failed = run_one(tmp_path, *both, "at: 0s, expect: [{id: o2}, {id: o1}]", rules=rules)
    said = "the same came in another order: `expect` lists what is told in the order in which it is told"
    assert said in failure_text(failed)
    other = run_one(tmp_path, *both, "at: 0s, expect: [{id: o2}, {id: o3}]", rules=rules)
    assert said not in failure_text(other)


def test_the_trace_of_what_was_resolved_names_the_reason(tmp_path):
    failed = run_one(
        tmp_path,
        "at: 0s, venue: fx, position: {id: p1, profit: -60}",
        "at: 1m, venue: fx, position: {id: p1, status: closed}",
        "at: 1m, expect: []",
        rules="[{id: red, watch: position, when: profit < -50}]",
    )
    assert "          1m  resolved: profit -60 < -50 (position closed)\n" in failure_text(failed)

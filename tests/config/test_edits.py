"""What of a rule can be set to something else, what is said where that isn't so, and what it changes in the file."""

import re
from pathlib import Path

import pytest

from support.pages import ROOT
from tocsin import document
from tocsin.config.edits import edit_rules
from tocsin.config.rule_sets import rules_of
from tocsin.config.rule_text import edits_of, rule_text, settable_of
from tocsin.config.settable import settable
from tocsin.config.yaml import load
from tocsin.errors import ConfigError

RULES = """\
# Rules to set things in. Größe: ünïcode before them.
rules:
  - id: red
    watch: position
    when: {profit: {below: -50}, symbol: [BTCUSD, ETHUSD]}   # as it was
    until: {profit: {above: -40}}
    for: 2s

  - id: red.deep            # its id has a dot
    watch: position
    when:
      any:
        - {profit: {below: -500}}
        - leverage > 10 and profit < -100
      not: {leverage: {between: [3, 5.5]}}
  - {id: flow, watch: position, when: 'profit - 3 < -2 * leverage', severity: info}
  - id: folded
    watch: account
    when: >
      percent_change(performance, 1d) < -5
      and not (margin_level in [100, 200])
    notify:
    - phone
  - id: quoted
    watch: position
    when: "matches(symbol, \\"BTC.*\\") and profit < -7"
  - id: crossed
    watch: ticker
    when: crosses_above(price, 100)
  - {id: filled, watch: order.filled, where: filled > 3, cooldown: 15m}
  - {id: none-filled, watch: order.filled, absent: 24h}
"""


@pytest.fixture
def rules(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text(RULES)
    return Path("rules.yaml")


def documents(path: Path) -> list[document.Mapping]:
    node, problems = load(path)
    assert not problems
    return [each for each in node.get("rules") if isinstance(each, document.Mapping)]


SETTABLE = {
    "red": [
        ("when.profit.below", "when profit below", "-50", "number", True),
        ("until.profit.above", "until profit above", "-40", "number", True),
        ("for", "for", "2s", "duration", True),
        ("keep_firing_for", "keep firing for", "0s", "duration", False),
    ],
    "red.deep": [
        ("when.any.1.profit.below", "when profit below (1)", "-500", "number", True),
        ("when.any.2.1", "when leverage above", "10", "number", True),
        ("when.any.2.2", "when profit below (2)", "-100", "number", True),
        ("when.not.leverage.between.1", "when leverage between from", "3", "number", True),
        ("when.not.leverage.between.2", "when leverage between to", "5.5", "number", True),
        ("for", "for", "0s", "duration", False),
        ("keep_firing_for", "keep firing for", "0s", "duration", False),
    ],
    "flow": [
        ("when.1", "when profit - …", "3", "number", True),
        ("when.2", "when … * leverage", "-2", "number", True),
        ("for", "for", "0s", "duration", False),
        ("keep_firing_for", "keep firing for", "0s", "duration", False),
    ],
    "folded": [
        ("when.1", "when percent change of performance in …", "1d", "duration", True),
        ("when.2", "when percent change of performance in 1d below", "-5", "number", True),
        ("when.3", "when margin_level among (1)", "100", "number", True),
        ("when.4", "when margin_level among (2)", "200", "number", True),
        ("for", "for", "0s", "duration", False),
        ("keep_firing_for", "keep firing for", "0s", "duration", False),
    ],
    "quoted": [
        ("when.1", "when profit below", "-7", "number", True),
        ("for", "for", "0s", "duration", False),
        ("keep_firing_for", "keep firing for", "0s", "duration", False),
    ],
    "crossed": [("when.1", "when crosses_above(price, …)", "100", "number", True)],
    "filled": [("cooldown", "cooldown", "15m", "duration", True)],
    "none-filled": [],
}


def test_what_can_be_set_of_a_rule_and_what_it_is_called(rules):
    found = {
        node.get("id").text: [
            (each.path, each.called, each.value, each.kind, each.written) for each in settable(node)
        ]
        for node in documents(rules)
    }
    assert found == SETTABLE


CHANGES = [
    ("red.when.profit.below=-60", {"when": {"profit": {"below": -60}, "symbol": ["BTCUSD", "ETHUSD"]}}),
    ("red.until.profit.above=-1.5e1", {"until": {"profit": {"above": -15}}}),
    ("red.for=1m30s", {"for": "1m30s"}),
    ("red.keep_firing_for=5m", {"keep_firing_for": "5m"}),
    ("red.until=profit > -3 or leverage < 2", {"until": "profit > -3 or leverage < 2"}),
    ("flow.when.1=-4", {"when": "profit - -4 < -2 * leverage"}),
    ("flow.when.2=0.5", {"when": "profit - 3 < 0.5 * leverage"}),
    ("flow.for=3s", {"for": "3s"}),
    (
        "folded.when.2=-7",
        {"when": "percent_change(performance, 1d) < -7 and not (margin_level in [100, 200])\n"},
    ),
    (
        "folded.when.4=250",
        {"when": "percent_change(performance, 1d) < -5 and not (margin_level in [100, 250])\n"},
    ),
    ("quoted.when.1=-8", {"when": 'matches(symbol, "BTC.*") and profit < -8'}),
    ("crossed.when.1=99.5", {"when": "crosses_above(price, 99.5)"}),
    ("filled.cooldown=1h", {"cooldown": "1h"}),
    ("red.deep.for=1s", {"for": "1s"}),
]


@pytest.mark.parametrize(("said", "expected"), CHANGES, ids=[said for said, _ in CHANGES])
def test_it_is_set_in_the_rule_and_nothing_else(rules, said, expected):
    before = documents(rules)
    after, (edit,), problems = edit_rules(before, [said])
    assert not problems
    name = edit.rule
    for old, new in zip(before, after, strict=True):
        changed = expected if old.get("id").text == name else {}
        assert new.plain() == old.plain() | changed
    assert rules_of(rules, edits=[said]).rules


@pytest.mark.parametrize(("said", "expected"), CHANGES, ids=[said for said, _ in CHANGES])
def test_the_diff_changes_the_file_to_that(rules, said, expected):
    diff = edits_of(rules_of(rules).rule_sources, [said])[1]
    assert re.match(r"--- rules\.yaml\n\+\+\+ rules\.yaml\n@@ ", diff)
    rules.write_text(patched(RULES, diff))
    after = {node.get("id").text: node.plain() for node in documents(rules)}
    (rule,) = [
        name for name in SETTABLE if f"{name}." in said and said[len(name) + 1 :].split(".")[0] != "deep"
    ]
    before, _ = load(RULES)
    for node in before.get("rules"):
        name = node.get("id").text
        assert after[name] == node.plain() | (expected if name == rule else {})


def patched(text: str, diff: str) -> str:
    """As patch(1) would have it; what the diff says stands there must."""
    lines, moved = text.split("\n"), 0
    for hunk in re.split(r"^(?=@@ )", diff, flags=re.MULTILINE)[1:]:
        head, *rest = hunk.rstrip("\n").split("\n")
        at = int(re.match(r"@@ -(\d+)", head)[1]) - 1 + moved
        old = [line[1:] for line in rest if line[0] in " -"]
        new = [line[1:] for line in rest if line[0] in " +"]
        assert lines[at : at + len(old)] == old
        lines[at : at + len(old)] = new
        moved += len(new) - len(old)
    return "\n".join(lines)


SHIPPED = sorted((ROOT / "rules").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_each_number_of_the_shipped_rules_can_be_set(path):
    sources = rules_of(ROOT / "rules").rule_sources
    for node in documents(path):
        name = node.get("id").text
        for each in settable(node):
            said = f"{name}.{each.path}={each.value or '1m'}"
            rules, edits, problems = edit_rules([node], [said])
            assert not problems
            assert edits[0].called == each.called
            if each.written:
                assert rules[0].plain() == node.plain()
                assert edits_of(sources, [said])[1] == ""
            else:
                assert edits_of(sources, [said])[1].count("\n+") == 2  # the file's name, and the key


WRONG = [
    (
        "red.when.loss.below=-60",
        "--set:1:5: error: red: nothing is called `when.loss.below` there",
        "red has when.profit.below (-50), until.profit.above (-40), for (2s), keep_firing_for (0s), when=EXPRESSION, until=EXPRESSION",
    ),
    (
        "folded.when=",
        "folded: nothing is called `when` there",
        "folded has when.1 (when percent change of performance in …: 1d)",
    ),
    ("red.where.profit=3", "nothing is called `where.profit` there", "red has"),
    ("red=3", "--set:1:5: error: red: says nothing of what is to be set", "red has"),
    ("red.for", "--set:1:1: error: says nothing of what it is to be", "write it like position-in-the-red"),
    ("rad.for=3s", "--set:1:1: error: no rule is called `rad`", "did you mean `red`?"),
    ("zzz.for=3s", "no rule is called `zzz`", "there are red, red.deep, flow"),
    ("red.when.profit.below=much", "--set:1:23: error: red.when.profit.below: `much` is no number", "like -60 or 0.5"),
    ("red.when.profit.below=-1,000", "`-1,000` is no number", "like -60"),
    ("red.when.profit.below=2m", "`2m` is no number", "like -60"),
    ("red.when.profit.below=" + "9" * 5000, "is no number", "like -60"),
    ("red.for=30", "--set:1:9: error: red.for: `30`: a duration needs a unit: 30s, 30m or 30h", ""),
    ("red.for=-3s", "a duration can't be negative", ""),
    ("red.for=2 parsecs", "red.for: `2 parsecs`: not a duration", "like 500ms, 30s, 5m"),
    ("folded.when.1=3", "`3` is no duration", "like 30s"),
    ("red.when=profit < nothing", "--set:1:10: error: red.when: unknown field `nothing` of position", "did you mean `notional`?"),
    ("none-filled.for=3s", "nothing is called `for` there", "none-filled has no number and no duration"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "error", "hint"), WRONG, ids=[said[:40] for said, _, _ in WRONG])
def test_what_can_not_be_set_is_told_with_what_can(rules, said, error, hint):
    with pytest.raises(ConfigError) as refused:
        rules_of(rules, edits=[said])
    assert error in str(refused.value)
    assert hint in str(refused.value)
    assert str(refused.value).count("write it like") <= 1


def test_the_second_edit_is_pointed_at_as_such(rules):
    with pytest.raises(ConfigError, match=r"--set:2:9: error: red.for"):
        rules_of(rules, edits=["red.for=3s", "red.for=3"])


def test_what_an_edit_makes_wrong_elsewhere_is_pointed_at_in_the_file(rules):
    with pytest.raises(ConfigError) as refused:
        rules_of(rules, edits=["red.when=crosses_below(profit, -50)"])
    assert "rules.yaml:7:5: error: red: `for` makes no sense here: `when` is true for a moment only" in str(
        refused.value
    )


BRACKETS = {
    "several on a line": "rules: [\n  {id: red, watch: position, when: profit < -5}, {id: b, watch: position.closed},\n  ]\n",
    "a list on one line": "rules: [{id: red, watch: position, when: profit < -5}, {id: b, watch: position.closed}]\n",
    "a list on several": "rules: [\n  {id: red, watch: position,\n   when: profit < -5},\n  {id: b, watch: position.closed}]\n",
    "the last of it": "rules: [{id: b, watch: position.closed},\n  {id: red, watch: position, when: profit < -5}]\n",
    "the rule is the file's": "- {id: red, watch: position, when: profit < -5}\n",
}


@pytest.mark.parametrize("written", BRACKETS.values(), ids=BRACKETS)
def test_a_rule_in_brackets(rules, written):
    rules.write_text(written)
    source = rules_of(rules).rule_sources["red"]
    assert [each.path for each in settable_of(source, "red")] == ["when.1", "for", "keep_firing_for"]
    diff = rule_text(source, "red").diff(["red.when.1=-6", "red.for=3s"])
    assert "profit < -6, for: 3s}" in diff
    assert patched(written, diff) == written.replace("profit < -5", "profit < -6, for: 3s")


def test_of_lines_that_can_not_be_read_by_themselves_nothing_is_said(rules):
    rules.write_text("rules: [{id: b,\nwatch: position.closed}]\n")
    assert settable_of(rules_of(rules).rule_sources["b"], "b") == []
    assert rules_of(rules, edits=["b.cooldown=3s"]).rules  # it can be set all the same


def test_no_secret_is_shown_in_a_diff(rules):
    rules.write_text(
        '- {id: red, watch: position, when: profit < -5, message: "see https://u:p4ssw0rd@x.example"}\n'
    )
    diff = rule_text(rules_of(rules).rule_sources["red"], "red").diff(["red.when.1=-6"])
    assert "-- {id: red, watch: position, when: profit < -5," in diff
    assert "p4ssw0rd" not in diff

"""The shipped rules are held by their tests: change what a rule means, and one of its tests fails."""

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from tocsin.errors import ConfigError
from tocsin.ruletest.file_parser import read_tests
from tocsin.ruletest.model import Expect
from tocsin.ruletest.runner import run_test, run_tests
from tocsin.shipped import shipped

RULES = sorted(shipped("rules").glob("*.yaml"))


@dataclass(frozen=True)
class Mutation:
    file: Path
    rule: str
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


def test_every_file_of_rules_has_tests():
    assert [path.name for path in RULES] == [
        path.name for path in sorted(shipped("rules").glob("tests/*.yaml"))
    ]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_the_shipped_rules_pass_their_tests(path):
    results = run_tests(read_tests(path.parent / "tests" / path.name))
    assert results
    assert [result.failure for result in results] == [None] * len(results)


def _mutations() -> list[Mutation]:
    return [mutation for path in RULES for mutation in _of_file(path)]


def _of_file(path: Path) -> list[Mutation]:
    source = path.read_text()
    rules = yaml.safe_load(source)["rules"]
    blocks = re.split(r"(?m)^(?=  - id: )", source)
    found = []
    for rule, (count, block) in zip(rules, enumerate(blocks[1:], 1), strict=True):
        changes = _of_rule(block)
        if rule.get("enabled") is not False:  # else it is off by itself, and runs in its tests only
            changes.append(("switched off", f"{block.rstrip()}\n    enabled: false\n"))
        for what, mutant in changes:
            text = "".join([*blocks[:count], mutant, *blocks[count + 1 :]])
            found.append(Mutation(path, rule["id"], what, text))
    return found


def _of_rule(block: str) -> list[tuple[str, str]]:
    """Each number, status, field or event another; each clause and key left out or turned round."""
    changes = []
    for key in ("until", "where", "for", "repeat", "cooldown", "inhibited_by"):
        without = re.sub(rf"(?m)^    {key}: .*\n", "", block)
        if without != block:
            changes.append((f"without {key}", without))
    for match in re.finditer(r"(?m)^    (when|until|where|for|repeat|cooldown): (.*)$", block):
        written, start = match[2].split("  #")[0], match.start(2)
        for number in re.finditer(r"(?<![\w.])-?\d+(\.\d+)?", written):
            others = {_scaled(number[0], "1.5"), _scaled(number[0], "0.5")} - {number[0]}
            changes += [
                _swap(block, start + number.start(), number[0], other, match[1]) for other in sorted(others)
            ]
        for sign in re.finditer(r" [<>] ", written):
            turned = " > " if sign[0] == " < " else " < "
            changes.append(_swap(block, start + sign.start(), sign[0], turned, match[1]))
        for word in re.finditer(r"\b(below|above)\b", written):
            turned = "above" if word[0] == "below" else "below"
            changes.append(_swap(block, start + word.start(), word[0], turned, match[1]))
    for severity, other in (("critical", "info"), ("warning", "info"), ("info", "warning")):
        if f"    severity: {severity}" in block:
            changes.append(("severity", block.replace(f"severity: {severity}", f"severity: {other}")))
    for key, others in _WATCHED.items():
        if re.search(rf"(?m)^    {key}", block):
            changes += [
                (f"{key} -> {other}", re.sub(rf"(?m)^    {key}", f"    {other}", block)) for other in others
            ]
    return changes


_WATCHED = {
    "watch: order.rejected": ["watch: order.expired"],
    "watch: order.canceled": ["watch: order.expired", "watch: order.updated"],
    "watch: order.expired": ["watch: order.canceled"],
    "watch: order.filled": ["watch: order.partially_filled", "watch: order.updated"],
    "watch: position.closed": ["watch: position.updated", "watch: position.*"],
    "watch: balance.withdrawal": ["watch: balance.deposit", "watch: balance.updated"],
    "watch: balance.deposit": ["watch: balance.withdrawal", "watch: balance.updated"],
    "watch: account.updated": ["watch: account.added"],
    "watch: contract.settlement_completed_success": [
        "watch: contract.settlement_initiated",
        "watch: contract.*",
    ],
    "watch: contract.verification_initiated": ["watch: contract.verification_completed_success"],
    "watch: venue.refused": ["watch: venue.auth_failed"],
    "watch: venue.gap": ["watch: venue.connected"],
    "watch: venue.clock_skew": ["watch: venue.silent"],
    "watch: daemon.delivery_failed": ["watch: daemon.action_failed"],
    "watch: daemon.reload_failed": ["watch: daemon.reloaded"],
    "watch: daemon.degraded": ["watch: daemon.storm"],
    "watch: daemon.rule_blind": ["watch: daemon.started"],
    "when: {status: disconnected}": ["when: {status: silent}"],
    "when: {status: auth_failed}": ["when: {status: disconnected}"],
    "when: {credentials: not_kept}": ["when: {credentials: kept}"],
    "when: {silent_streams: {missing: false}}": [
        "when: {silent_streams: {missing: true}}",
        "when: {status: silent}",
    ],
    "when: trading_disabled == true": ["when: trading_disabled == false", "when: missing(trading_disabled)"],
    "when: changed\\(balance\\)": ["when: changed(equity)"],
    "if_unknown: ignore": ["if_unknown: tell"],
    "if_unknown: tell": ["if_unknown: ignore"],
    "when: {status: pending}": ["when: {status: open}"],
    'where: symbol == "BTCUSD"': ['where: symbol == "ETHUSD"'],
    "when: crosses_above": ["when: price > previous(price) and crosses_below", "when: crosses_below"],
}


def _scaled(number: str, factor: str) -> str:
    value = Decimal(number) * Decimal(factor)
    if "." in number:
        return format(value, "f")
    return str(int(value) if int(value) != int(number) else int(number) + 1)


def _swap(block: str, at: int, old: str, new: str, where: str) -> tuple[str, str]:
    return f"{where}: {old.strip()} -> {new.strip()}", block[:at] + new + block[at + len(old) :]


@pytest.mark.parametrize("mutation", _mutations(), ids=str)
def test_a_rule_that_means_something_else_fails_its_tests(mutation, tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / mutation.file.name).write_text(mutation.text)
    copy = tmp_path / "tests" / mutation.file.name
    copy.write_text((mutation.file.parent / "tests" / mutation.file.name).read_text())
    try:
        tests = read_tests(copy)
    except ConfigError:
        return  # refused before it could do harm
    about_it_first = sorted(tests.tests, key=lambda test: mutation.rule not in _told_of(test))
    assert any(run_test(tests, test).failure for test in about_it_first), "no test noticed"


def _told_of(test) -> set[object]:
    """The rules whose alerts it expects."""
    expected = [step.action.items for step in test.steps if isinstance(step.action, Expect)]
    return {wanted.given.get("rule") for items in expected for wanted in items}

"""What alerts of a record would have run, and what would have kept it from being run; nothing is."""

import json

import pytest

from support.replaying import START, at_p1, lived, message, replayed, run, write
from tocsin.events.synthetic import link

CONFIG = """
venues: {{fx: {{type: yourfintech, url: 'wss://x.example/ws', secret_key: k}}}}
channels: {{phone: 'json://127.0.0.1/'}}
actions:
  hedge: {hedge}
  note: {{command: ["/no/such/program", "--", "{{{{ symbol }}}}", "k3y-of-note"], dry_run: true}}
rules: [rules.yaml]
"""
RED = "- {id: red, watch: position, when: profit < -50, run: %s}\n"
HEDGE = "{webhook: 'http://127.0.0.1:9/hook?k3y-of-hedge'}"
DONE = "POST http://127.0.0.1:9"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path / "fx.jsonl",
        (0, message("created", profit=-60)),
        (10, message("updated", profit=-5)),
        (20, message("updated", profit=-70)),
        (30, message("closed", profit=-70)),
    )
    return tmp_path


def configured(here, rules: str, hedge: str = HEDGE) -> None:
    (here / "rules.yaml").write_text(rules)
    (here / "config.yaml").write_text(CONFIG.format(hedge=hedge))
    (here / "config.yaml").chmod(0o600)


def runs(told: dict) -> list[tuple]:
    """(seconds, action, state, outcome, what would be done, or why not) of each."""
    return [
        (
            round((_at(each["at"]) - START).total_seconds()), each["action"], each["state"], each["outcome"],
            each["reason"] or each["command"],
        )
        for rule in told["rules"] for alert in rule["alerts"] for each in alert["runs"]
    ]  # fmt: skip


def _at(text: str):
    return type(START).fromisoformat(text)


CASES = {
    "when it fires": ("[hedge]", HEDGE, [(0, "hedge", "firing", "run", DONE), (20, "hedge", "firing", "run", DONE)]),
    "when it is over": (
        "{on_resolved: [hedge]}", HEDGE,
        [(10, "hedge", "resolved", "run", DONE), (30, "hedge", "resolved", "run", DONE)],
    ),
    "a rail": (
        "{on_firing: [hedge], on_resolved: [hedge]}", HEDGE.replace("}", ", rate: 3/h}"),
        [
            (0, "hedge", "firing", "run", DONE), (10, "hedge", "resolved", "run", DONE),
            (20, "hedge", "firing", "run", DONE),
            (30, "hedge", "resolved", "dropped", "over its rate: 3 of 3/h already"),
        ],
    ),
    "a dry run": (
        "[note]", HEDGE,
        [(at, "note", "firing", "dry_run", '["/no/such/program", "--", "BTCUSD", "k3y-of-note"]') for at in (0, 20)],
    ),
    "what can't be made": (
        "[hedge]", '{command: ["/no/such/program", "{{ stop_loss }}"]}',
        [
            (at, "hedge", "firing", "refused", "argument 1, '{{ stop_loss }}': 'stop_loss' is undefined")
            for at in (0, 20)
        ],
    ),
    "several": ("[hedge, note]", HEDGE.replace("}", ", rate: 1/h}"), [
        (0, "hedge", "firing", "run", DONE),
        (0, "note", "firing", "dry_run", '["/no/such/program", "--", "BTCUSD", "k3y-of-note"]'),
        (20, "hedge", "firing", "dropped", "over its rate: 1 of 1/h already"),
        (20, "note", "firing", "dry_run", '["/no/such/program", "--", "BTCUSD", "k3y-of-note"]'),
    ]),
}  # fmt: skip


@pytest.mark.parametrize(("runs_what", "hedge", "expected"), CASES.values(), ids=CASES)
def test_it_says_what_would_have_run(here, runs_what, hedge, expected):
    configured(here, RED % runs_what, hedge)
    assert runs(replayed("fx.jsonl", "--config", "config.yaml")) == expected


def test_it_says_so_to_people_and_what_an_edit_changes(here):
    configured(here, RED % "[hedge, note]", HEDGE.replace("}", ", rate: 1/h}"))
    (here / "edited.yaml").write_text(RED % "{on_resolved: [note]}")
    output = run("fx.jsonl", "--config", "config.yaml", "--against", "edited.yaml").output
    for line in (
        f"    12:55:20  hedge  firing  would have run: {DONE}\n",
        '    12:55:20  note  firing  only recorded: ["/no/such/program", "--", "BTCUSD", "k3y-of-note"]\n',
        "    12:55:40  hedge  firing  dropped: over its rate: 1 of 1/h already\n",
        "hedge would have run 1 time, 1 dropped (over its rate: 1 of 1/h already)\n",
        "note would have run 0 times, 2 only recorded\n",
        "hedge would run 0 times instead of 1\n",
    ):
        assert line in output
    told = replayed("fx.jsonl", "--config", "config.yaml", "--against", "edited.yaml")
    assert told["actions"] == [
        {"action": "hedge", "run": 1, "asked": 0, "dry_run": 0, "dropped": 1, "refused": 0},
        {"action": "note", "run": 0, "asked": 0, "dry_run": 2, "dropped": 0, "refused": 0},
    ]
    assert told["actions_then"] == [
        {"action": "note", "run": 0, "asked": 0, "dry_run": 2, "dropped": 0, "refused": 0}
    ]


def test_what_somebody_has_to_confirm_is_asked_for(here):
    configured(here, RED % "[hedge]", HEDGE.replace("}", ", confirm: chat, rate: 1/h}"))
    config = (here / "config.yaml").read_text()
    chat = "chat: {urls: ['tgram://123456789:abcdefg_hijklmnop/12315544'], answers: [anna]}"
    (here / "config.yaml").write_text(
        config.replace(
            "'json://127.0.0.1/'}", f"'json://127.0.0.1/', {chat}}}\npeople: {{anna: {{telegram: 1}}}}"
        )
    )
    assert runs(replayed("fx.jsonl", "--config", "config.yaml")) == [
        (0, "hedge", "firing", "asked", DONE),
        (20, "hedge", "firing", "dropped", "over its rate: 1 of 1/h already"),
    ]
    output = run("fx.jsonl", "--config", "config.yaml").output
    assert f"    12:55:20  hedge  firing  asked for: {DONE}\n" in output
    assert "hedge would have run 0 times, 1 asked for, 1 dropped (over its rate" in output


def test_secrets_are_masked_and_venues_texts_are_flat(here):
    configured(here, RED % "[hedge]", '{command: ["/no/such", "--", "{{ symbol }}", "${cred:note}"]}')
    (here / "secrets").mkdir(mode=0o700)
    (here / "secrets" / "note").write_text("s3cret-of-note\n")
    (here / "secrets" / "note").chmod(0o600)
    write(here / "fx.jsonl", (0, message("created", profit=-60, asset_pair="BTC\u202enur")))
    text = run("fx.jsonl", "--config", "config.yaml").output
    (alert,) = replayed("fx.jsonl", "--config", "config.yaml")["rules"][0]["alerts"]
    assert "would have run" in text
    assert "\u202e" not in text
    for output in (text, json.dumps(alert)):
        assert "/no/such" in output
        assert "s3cret-of-note" not in output


def test_what_fails_for_want_of_a_value_is_told_to_people_and_opens_the_circuit(here):
    configured(here, RED % "[hedge]", '{command: ["/no/such", "{{ stop_loss }}"]}')
    said = [message("updated", profit=-60 if number % 2 else -5) for number in range(1, 14)]
    write(
        here / "fx.jsonl",
        (0, message("created", profit=-5)),
        *((at + 1, each) for at, each in enumerate(said)),
    )
    told = replayed("fx.jsonl", "--config", "config.yaml")
    assert [each[3] for each in runs(told)] == ["refused"] * 5 + ["dropped"] * 2
    assert "its circuit is open since 2024-11-15" in runs(told)[-1][4]
    (rule,), (phone,) = told["rules"], told["channels"]
    assert rule["fired"] == rule["messages"] == 7
    assert phone["messages"] == 7 + 6 + 5


def test_without_a_config_it_runs_what_the_rails_let_through(here):
    (here / "rules.yaml").write_text("- {id: red, watch: position, when: profit < -50, run: [any]}\n")
    told = replayed("fx.jsonl", "--rules", "rules.yaml", "--type", "yourfintech")
    assert runs(told) == [(0, "any", "firing", "run", None), (20, "any", "firing", "run", None)]


def test_of_a_database_it_says_what_the_run_did(here):
    """The same rails at the same moments: what was dropped there is dropped here, with the same words."""
    (here / "rules.yaml").write_text(
        "rules:\n  - {id: red, watch: position, when: profit < -50, run: {on_firing: [hedge], on_resolved: [note]}}\n"
        "  - {id: lasting, watch: position, when: profit < -50, for: 7s, run: [hedge]}\n"
        "  - {id: closed, watch: position.closed, cooldown: 1m, per: [], run: [note]}\n"
    )
    simulation = lived(here, "rules.yaml", [
        (0, (at_p1("-1"),)), (10, (at_p1("-60"),)), (20, (at_p1("-5"),)),
        (30, (link("fx", "disconnected"),)), (31, (at_p1("-60"),)), (40, (link("fx", "connected"),)),
        (50, (at_p1("-70"),)), (55, (at_p1("-5", "closed"),)), (56, (at_p1("-5", "closed", "p2"),)),
    ])  # fmt: skip
    ran = [
        (round((row.created_at - START).total_seconds()), row.action, row.told, row.data["rule"], row.reason)
        for row in simulation.ran
    ]
    assert "fx is disconnected" in {row[-1] for row in ran}
    again = replayed("state/tocsin.db", "--rules", "rules.yaml")
    assert sorted(ran, key=str) == sorted(
        (
            (round((_at(each["at"]) - START).total_seconds()), each["action"], each["state"], rule["rule"], each["reason"])
            for rule in again["rules"] for alert in rule["alerts"] for each in alert["runs"]
        ), key=str,
    )  # fmt: skip


def test_the_beginning_of_a_database_that_was_cut_off_is_no_outage(here):
    """The event that told of the link went with the retention."""
    configured(here, RED % "[hedge]")
    lived(here, "rules.yaml", [(0, (at_p1("-60"),)), (5, (at_p1("-61"),))])
    assert runs(replayed("state/tocsin.db", "--config", "config.yaml")) == [
        (0, "hedge", "firing", "run", DONE)
    ]

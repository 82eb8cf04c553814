"""Who is told, and why not: the rows of what can hold a message back, as far as they exist."""

from typing import Any

import pytest

from tocsin.alerts.decide import Decision, MuteReasons, Route, Routing, decide

CHANNELS = {
    "phone": Route(min_severity="critical"),
    "desk": Route(min_severity="warning", send_resolved=False),
    "mail": Route(),
}


def who(told: Any, severity: Any = "warning", **given: Any) -> Decision:
    asked = {"notify": None, "announced": None, "routing": Routing(channels=CHANNELS)}
    return decide(told, severity=severity, **asked | given)


@pytest.mark.parametrize(
    ("severity", "channels"),
    [("info", ("mail",)), ("warning", ("desk", "mail")), ("critical", ("phone", "desk", "mail"))],
)
def test_min_severity_keeps_it_off_that_channel_alone(severity: str, channels: tuple[str, ...]) -> None:
    decision = who("firing", severity)
    assert decision.channels == channels
    assert set(decision.held) == set(CHANNELS) - set(channels)
    assert all(reason.startswith("below min_severity") for reason in decision.held.values())


@pytest.mark.parametrize(
    ("defaults", "notify", "channels"),
    [
        ({}, None, ("phone", "desk", "mail")),
        ({"critical": ("mail",)}, None, ("mail",)),
        (
            {"warning": ("mail",)},
            None,
            ("phone", "desk", "mail"),
        ),  # nothing said of critical: rather too many
        ({"critical": ()}, None, ()),
        ({"critical": ("mail",)}, ("desk", "desk"), ("desk",)),
        ({}, (), ()),
    ],
)
def test_the_rules_own_channels_else_those_of_its_severity(
    defaults: Any, notify: Any, channels: tuple[str, ...]
) -> None:
    routing = Routing(channels=CHANNELS, defaults=defaults)
    assert who("firing", "critical", notify=notify, routing=routing).channels == channels


def test_what_was_announced_is_announced_as_resolved_to_the_same() -> None:
    decision = who("resolved", "info", notify=("desk",), announced=("phone", "mail"))
    assert decision == Decision(("phone", "mail"))


def test_a_channel_may_not_want_to_hear_of_ends() -> None:
    decision = who("resolved", announced=("desk", "mail"))
    assert decision == Decision(("mail",), {"desk": "send_resolved is false"}, ("send_resolved",))


@pytest.mark.parametrize("told", ["resolved", "reminder"])
@pytest.mark.parametrize("announced", [None, ()])
def test_what_nobody_heard_of_is_neither_reminded_of_nor_resolved(told: str, announced: Any) -> None:
    assert who(told, "critical", announced=announced) == Decision(
        outcome="dropped", reason="nobody was notified of its firing"
    )


def test_reminders_go_where_the_firing_went() -> None:
    assert who("reminder", "critical", notify=("mail",), announced=("phone",)).channels == ("phone",)


def test_a_channel_that_is_gone_is_said_to_be() -> None:
    decision = who("resolved", announced=("old", "mail"))
    assert decision == Decision(("mail",), {"old": "the channel is not configured any more"})


def test_no_channel_is_told_of_its_own_failure() -> None:
    decision = who("firing", "critical", avoid=frozenset({"mail"}))
    assert decision.channels == ("phone", "desk")
    assert decision.held == {"mail": "the message is about this channel"}


HEARD: Any = {"announced": ("mail",)}
SHUT = {
    "silence": MuteReasons(silence="rule=x, until later"),
    "inhibited_by": MuteReasons(inhibited_by="venue-down fires for fx"),
    "notify_during": MuteReasons(notify_during="closed until later"),
}


@pytest.mark.parametrize(
    ("told", "given", "by", "outcome"),
    [
        ("firing", {}, "silence", "held"),
        ("firing", {}, "inhibited_by", "held"),
        ("firing", {}, "notify_during", "held"),
        ("reminder", HEARD, "silence", "dropped"),
        ("reminder", HEARD, "inhibited_by", "dropped"),
        ("reminder", HEARD, "notify_during", "dropped"),
        ("resolved", HEARD, "silence", "told"),
        ("resolved", HEARD, "inhibited_by", "told"),
        ("resolved", HEARD, "notify_during", "held"),
        ("resolved", {}, "silence", "dropped"),
        ("resolved", {}, "inhibited_by", "dropped"),
        ("resolved", {}, "notify_during", "dropped"),
    ],
)
def test_what_holds_all_of_it_back(told: str, given: Any, by: str, outcome: str) -> None:
    decision = who(told, "critical", reasons=SHUT[by], **given)
    assert decision.outcome == outcome
    assert (decision.by == by) is (outcome == "held" or (told == "reminder" and outcome == "dropped"))
    assert bool(decision.channels) is (outcome == "told")
    assert bool(decision.reason) is (outcome != "told")


def test_the_first_that_is_shut_is_the_reason() -> None:
    every = MuteReasons(silence="silent", inhibited_by="inhibited", notify_during="closed")
    assert who("firing", reasons=every).by == "silence"
    assert (
        who("firing", reasons=MuteReasons(inhibited_by="inhibited", notify_during="closed")).reason
        == "inhibited"
    )
    assert who("resolved", reasons=every, **HEARD).by == "notify_during"

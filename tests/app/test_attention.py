"""What `status` says needs somebody's attention while the daemon is healthy."""

import pytest

from tocsin.app import attention


def venue(name: str, status: str = "connected", **fields: str) -> dict[str, str]:
    return {"venue": name, "status": status, **fields}


@pytest.mark.parametrize(
    ("venues", "told"),
    [
        ([], ["no venue is configured: nothing is watched"]),
        ([venue("fx"), venue("px", credentials="kept")], []),
        ([venue("fx", "auth_failed")], ["1 of 1 venue not connected: fx"]),
        (
            [venue("fx", silent_streams="ticks"), venue("px"), venue("tp", "refused")],
            ["1 of 3 venues not connected: tp", "no data for long: fx"],
        ),
        ([venue("ws", credentials="not_kept")], ["credentials can't be kept, a restart loses them: ws"]),
    ],
)
def test_venues(venues, told):
    assert attention.of_venues(venues) == told


def test_channels():
    assert attention.of_channels(["phone"]) == []
    assert attention.of_channels([]) == ["no channel is configured: nobody is told"]


def test_rules_that_see_nothing():
    assert attention.of_rules(()) == []
    assert attention.of_rules(("margin", "loss")) == [
        "blind, for want of a value: margin, loss (tocsin explain says which)"
    ]

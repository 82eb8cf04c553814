"""What somebody should look into although the daemon itself is healthy, as `tocsin status` tells it: of venues, channels, actions, config, rules and disk."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from tocsin.events import UP
from tocsin.store.journal import Journal


def of_venues(venues: Sequence[Mapping[str, Any]]) -> list[str]:
    """`venues` as `status` has them."""
    if not venues:
        return ["no venue is configured: nothing is watched"]
    silent = [venue["venue"] for venue in venues if venue.get("silent_streams")]
    away = [venue["venue"] for venue in venues if venue["status"] not in UP]
    told = []
    if away:
        count = f"{len(venues)} venue{'s' if len(venues) != 1 else ''}"
        told.append(f"{len(away)} of {count} not connected: {', '.join(away)}")
    if silent:
        told.append(f"no data for long: {', '.join(silent)}")
    unkept = [venue["venue"] for venue in venues if venue.get("credentials") == "not_kept"]
    if unkept:
        told.append(f"credentials can't be kept, a restart loses them: {', '.join(unkept)}")
    return told


def of_rules(blind: Collection[str]) -> list[str]:
    return [f"blind, for want of a value: {', '.join(blind)} (tocsin explain says which)"] if blind else []


def of_actions(paused: str, states: Mapping[str, Mapping[str, str]]) -> list[str]:
    """`paused`: all, by whom; `states` by an action what stands in its way, in words."""
    told = [f"all actions are paused {paused}: tocsin resume"] if paused and states else []
    for name, state in states.items():
        if state["paused"] and not paused:
            told.append(f"action {name} is paused {state['paused']}: tocsin resume {name}")
        if state["circuit"]:
            told.append(f"action {name} runs no more, {state['circuit']}: tocsin resume {name}")
    return told


def of_disk(journal: Journal) -> list[str]:
    if not journal.overdue:
        return []
    return [
        f"nothing can be recorded, alerts go out all the same: {journal.reason}; {journal.waiting} writes wait"
    ]


def of_channels(channels: Sequence[str]) -> list[str]:
    return [] if channels else ["no channel is configured: nobody is told"]


def stranded(
    waiting: Mapping[tuple[str, int], int], there: Mapping[str, int]
) -> Iterator[tuple[str, int, str]]:
    """Channels that messages wait for in vain, with how many, and that in words.

    `waiting`: how many by channel and URL; `there`: how many URLs each channel of the config has.
    """
    found: dict[str, int] = {}
    for (channel, target), count in waiting.items():
        if target >= there.get(channel, 0):
            found[channel] = found.get(channel, 0) + count
    for channel, count in found.items():
        gone = "has fewer URLs than before" if channel in there else "is not configured"
        yield (
            channel,
            count,
            f"{count} message(s) wait for channel {channel}, which {gone}: they are not sent until it is back",
        )

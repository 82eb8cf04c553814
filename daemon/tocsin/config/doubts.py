"""What of a config is sound in each part and yet can't be meant so: links of no venue, alerts that reach nobody."""

from collections.abc import Sequence as Seq

from tocsin.config.reading import Reading
from tocsin.config.settings import Settings
from tocsin.document import Mapping
from tocsin.engine.api import SEVERITIES
from tocsin.engine.rule import Rule
from tocsin.errors import Place, Problem
from tocsin.events.vocabulary import did_you_mean


def check_links(reading: Reading, root: Mapping) -> None:
    """That each is of a venue that the config has, faulty ones too."""
    venues, links = root.get("venues"), root.get("links")
    known = list(venues.entries) if isinstance(venues, Mapping) else []
    for entry in links if isinstance(links, Mapping) else ():
        if entry.key.text not in known:
            hint = did_you_mean(entry.key.text, known, f"there are {', '.join(known)}" if known else "")
            reading.add(Problem(f"no venue is called `{entry.key.text:.80}`", entry.key.place, "links", hint))


def warn_of_nobody(reading: Reading, settings: Settings) -> None:
    """Rules whose every channel takes only what is worse than they are: once for all those that are so alike."""
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for rule in settings.rules:
        addressed = settings.routing.channels_for(rule.severity, rule.notify)
        channels = [settings.channels[name] for name in addressed if name in settings.channels]
        # A channel that isn't among them is faulty, and complained of.
        reached = len(channels) < len(addressed) or any(
            SEVERITIES.index(channel.min_severity) <= SEVERITIES.index(rule.severity) for channel in channels
        )
        if rule.enabled and addressed and not reached:
            alike.setdefault((rule.severity, addressed), []).append(rule.id)
    for (severity, addressed), rules in alike.items():
        what = f"rule {rules[0]} reaches" if len(rules) == 1 else f"{len(rules)} rules reach"
        which = "" if len(rules) == 1 else f" ({', '.join(rules[:5])}{', …' if len(rules) > 5 else ''})"
        above = ", ".join(f"{name} takes {settings.channels[name].min_severity}" for name in addressed)
        hint = "lower a channel's min_severity, raise the rule's severity, or name another channel in notify"
        reading.add(
            Problem(
                f"{what} nobody: severity {severity}, and {above} and above only{which}",
                Place(str(reading.path), 1, 1), hint=hint, level="warning",
            )
        )  # fmt: skip


def warn_of_nothing(reading: Reading, root: Mapping, rules: Seq[Rule]) -> None:
    """A config that can't tell anybody anything is allowed, and said (but not beside what may be the reason)."""
    if any(problem.level == "error" for problem in reading.problems):
        return
    place = Place(str(reading.path), 1, 1)
    file = reading.path
    for missing, message, hint in (
        (not root.get("venues"), "no venue is configured: nothing is watched", f"fill in a venue in {file}"),
        (
            not root.get("channels"),
            "no channel is configured: nobody is told",
            f"fill in a channel in {file}",
        ),
        (
            not root.get("rules") and not rules,
            "no rule is configured: nothing is told",
            "write: rules: [rules/*.yaml]",
        ),
    ):
        if missing:
            reading.add(Problem(message, place, hint=hint, level="warning"))

"""`/rules`: all rules by the files that they are written in, what each watches, and how often it fired.

?q=position btc    those in which each of these words stands: in the id, the file, what it watches, its severity, its state
"""

from collections.abc import Sequence
from functools import partial

from tocsin.config.settings import Settings
from tocsin.engine.rule import Rule
from tocsin.page.rows import limit, watched_row
from tocsin.page.rule_lists import LATELY, basics, blind_rules, counts, nearest, place_of
from tocsin.page.screen import Asked, Json, Part, Screen
from tocsin.store.rule_history import fired_by_rule


async def rules(asked: Asked) -> Json:
    """`rules` in their order, of `count` that the filter lets through, of `all`; of how many some alert is `firing`, how many `alerts` that
    are, how many are `blind`.

    Of each (`rule_lists.basics`) how many `firing` and `pending`, how often it `fired` (ever; `lately`: in 30 days) and when last, and
    what of it is `nearest` (`watched_row`).
    """
    return await asked.in_thread(partial(_rules, asked, asked.host.rules_seen.settings))


def _rules(asked: Asked, settings: Settings) -> Json:
    """Blocks."""
    snapshot = asked.snapshot
    blind, lives, near = blind_rules(snapshot), counts(snapshot), nearest(snapshot)

    def text(rule: Rule) -> str:
        """Where the filter's words are looked for."""
        states = {
            "off": not rule.enabled,
            "blind": rule.id in blind,
            "firing": lives[rule.id, True],
            "pending": lives[rule.id, False],
        }
        said = [rule.id, place_of(settings, rule.id)["file"], *rule.events, *rule.kinds, rule.severity]
        return " ".join([*said, *(word for word, is_so in states.items() if is_so)]).casefold()

    words = asked.query.get("q", "").casefold().split()
    found = [rule for rule in settings.rules if not words or _has_all(words, text(rule))]
    fired = fired_by_rule(asked.reader, asked.now - LATELY)
    nothing: Json = {"fired": 0, "lately": 0, "last_fired_at": None}
    rows = [
        {
            **basics(settings, rule, asked.now, blind=rule.id in blind),
            "firing": lives[rule.id, True],
            "pending": lives[rule.id, False],
            **{name: fired.get(rule.id, nothing)[name] for name in nothing},
            "nearest": watched_row(near[rule.id]) if rule.id in near else None,
        }
        for rule in found[: limit(asked)]
    ]
    return {
        "rules": rows,
        "count": len(found),
        "all": len(settings.rules),
        "firing": len({rule for rule, fires in lives if fires}),
        "alerts": sum(count for (_, fires), count in lives.items() if fires),
        "blind": len(blind),
    }


def _has_all(words: Sequence[str], text: str) -> bool:
    return all(word in text for word in words)


async def _filter(asked: Asked) -> Json:
    return {"q": asked.query.get("q", "")}


RULES = Screen(
    name="rules",
    path="/rules",
    nav="rules",
    api="/api/rules-screen",
    parts={"rules": Part(("rules", "history", "hours"), rules)},
    still=_filter,
)

"""`/help`, `/help/TOPIC`: the reference, as `tocsin help` has it."""

from difflib import get_close_matches

from tocsin.docs import TOPICS, page, summary
from tocsin.page.screen import Asked, Json, NoSuch, Part, Screen

_NEAR = 3


async def topics(asked: Asked) -> Json:
    """`topics` in the order in which one reads them, each with its `summary`."""
    del asked
    return {"topics": _listed()}


async def topic(asked: Asked) -> Json:
    """One `topic` as `markdown`, and all `topics`. NoSuch, with those that are called nearly so."""
    name = asked.path["topic"]
    if name not in TOPICS:
        near = get_close_matches(name.lower(), TOPICS, n=_NEAR, cutoff=0.5)
        found = [(f"{each}: {summary(each)}", f"/help/{each}") for each in near]
        raise NoSuch(f"No topic is called {name:.80}.", [*found, ("all topics", "/help")])
    return {"topic": name, "markdown": page(name), "topics": _listed()}


def _listed() -> list[Json]:
    return [{"topic": name, "summary": summary(name)} for name in TOPICS]


HELP = Screen(
    name="help", path="/help", nav="help", api="/api/help", parts={"topics": Part((), topics)},
)  # fmt: skip
TOPIC = Screen(
    name="help", path="/help/{topic}", nav="help", api="/api/help/{topic}", parts={"topic": Part((), topic)},
)  # fmt: skip

"""TopOne's private streams, described: what its messages mean is what the built-in adapter says, but for what stands here."""

import pytest

from support.decoding import RECEIVED, TESTS, cases, meaning
from tocsin.config.descriptions import described
from tocsin.venues.base import Malformed
from tocsin.venues.registry import adapter

DESCRIBED = described(str(TESTS / "fixtures" / "described" / "topone.yaml"))
PUBLIC = ("sub_deals", "sub_depth")
PRIVATE = [case for case in cases("topone") if not any(word in case.values[0].message for word in PUBLIC)]

# Words that differ, and what is told besides: the built-in adapter knows that a status stands in `venue_status`, too.
DIFFERENT = {
    "words that nobody knows are kept, and known for such": {
        "also": [
            "unreadable: order.order_type: not documented: 3",
            "unreadable: order.status: not documented: 9",
        ],
    },
    "neither answer nor push": {"words": ["unrecognized: method sub_orders without `data`"]},
    "nothing known at all": {"words": ["unrecognized: a message that the description knows nothing of"]},
    "no object": {"malformed": "neither an object nor a list: 7"},
    "an order that is a list": {"words": ["control"]},
    "an id that is a fraction": {"malformed": "order.data: id: not an id"},
}


def meant(found, text):
    try:
        return meaning(found.decode(text, RECEIVED))
    except Malformed as malformed:
        return {"malformed": str(malformed)}


def words(items):
    return [
        item if isinstance(item, str) else f"{next(iter(item))}: {next(iter(item.values()))}"
        for item in items
    ]


@pytest.mark.parametrize("case", PRIVATE)
def test_it_means_the_same(case):
    ours, theirs = meant(DESCRIBED, case.message), meant(adapter("topone"), case.message)
    different = DIFFERENT.get(case.name)
    if different is None:
        assert ours == theirs or ("malformed" in ours and "malformed" in theirs)
    elif "malformed" in different:
        assert ours["malformed"].startswith(different["malformed"])
    elif "words" in different:
        assert words(ours["items"]) == different["words"]
    else:
        same = len(theirs["items"])
        assert ours["items"][:same] == theirs["items"]
        assert words(ours["items"][same:]) == different["also"]


def test_the_differences_are_of_cases_that_there_are():
    assert DIFFERENT.keys() <= {case.values[0].name for case in PRIVATE}


def test_it_supplies_the_same():
    built_in = adapter("topone").supplies
    assert DESCRIBED.supplies == {kind: built_in[kind] for kind in ("order", "balance")}

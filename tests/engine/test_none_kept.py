"""What an earlier version held on to, though its value can't exist any more, is over when this one starts."""

from msgspec import structs

from support.story import Story, compiled
from tocsin.events import Account, Observation, number
from tocsin.store import rows


def test_a_stop_out_of_a_flat_account_is_over_at_the_start():
    story = Story(
        compiled(
            [{"id": "near", "watch": "account", "when": "margin_level < 120", "until": "margin_level > 130"}]
        )
    )
    story.connect("fx")
    story.say("fx", Observation(state=Account(id="a", margin=number("100"), margin_level=number("100"))))
    (key,) = [key for key in story.entities_stored if key.kind == "account"]
    known = rows.entity(story.entities_stored[key])
    flat = structs.replace(known, state=structs.replace(known.state, margin=number("0"), margin_level=None))
    story.entities_stored[key] = rows.entity_row(flat)
    story.restart(60.0)
    assert [(each["told"], each["reason"]) for each in story.told] == [
        ("firing", ""),
        ("resolved", "no margin in use"),
    ]
    story.restart(60.0)
    assert len(story.told) == 2

"""What lives, in order: always what there is, and of what didn't change the same objects as before."""

from hypothesis import given
from hypothesis import strategies as st

from support.observing import Scene

KINDS = ("position", "order", "account")
SAYS = st.one_of(
    st.tuples(
        st.just("position"), st.sampled_from("pqr"), st.sampled_from("ab"), st.sampled_from(["open", "open", "closed"]), st.sampled_from("123"), st.sampled_from("XY")
    ),
    st.tuples(st.just("order"), st.sampled_from("opq"), st.just("a"), st.sampled_from(["open", "filled"]), st.sampled_from("123"), st.sampled_from("XY")),
    st.tuples(st.just("account"), st.sampled_from("ab")),
    st.sampled_from(["connected", "disconnected", "snapshot", "forget", "remove"]),
)  # fmt: skip


def do(scene, said):
    match said:
        case ("position", id_, account, status, number, symbol):
            scene.say("position", id=id_, account=account, status=status, profit=number, symbol=symbol)
        case ("order", id_, account, status, number, symbol):
            scene.say("order", id=id_, account=account, status=status, price=number, symbol=symbol)
        case ("account", id_):
            scene.say("account", id=id_, balance="100")
        case "snapshot":
            scene.snapshot("order", "position")
        case "forget":
            known = [change.key for change in scene.entities.live("position")][:1]
            scene.entities.forget(known, scene.clock.now())
        case "remove":
            scene.entities.venues_removed("fx")
        case status:
            scene.link(status)


def shown(scene, kind):
    return list(scene.entities.in_order.of(kind))


def stands(changes):
    return [(each.key, each.symbol, each.state, each.unconfirmed_since, each.received) for each in changes]


def place(change):
    return change.venue, change.key.account, change.symbol or "", change.key.id


@given(st.lists(SAYS, max_size=12))
def test_it_is_what_there_is_and_keeps_what_is_the_same(said):
    scene = Scene()
    for each in said:
        before = {kind: shown(scene, kind) for kind in KINDS}
        do(scene, each)
        for kind in KINDS:
            found = shown(scene, kind)
            assert stands(found) == stands(sorted(scene.entities.live(kind), key=place))
            known = {change.key: change for change in before[kind]}
            for change in found:
                was = known.get(change.key)
                if was is not None and stands([was]) == stands([change]):
                    assert change is was
            if all(new is old for new, old in zip(found, before[kind], strict=False)) and len(found) == len(
                before[kind]
            ):
                assert scene.entities.in_order.of(kind) is scene.entities.in_order.of(kind)


def test_of_many_that_come_at_once_each_has_its_place():
    scene = Scene()
    for number in range(300):
        scene.say("position", id=f"{number}", account="a", symbol=f"S{number * 7 % 300:03}", profit="1")
    assert [change.symbol for change in scene.entities.in_order.of("position")] == [
        f"S{n:03}" for n in range(300)
    ]
    scene.say("position", id="new", account="a", symbol="S1500", profit="1")
    assert [change.key.id for change in scene.entities.in_order.of("position")].index("new") == 151

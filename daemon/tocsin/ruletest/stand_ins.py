"""The channels of a test file: a list of names, or a mapping that says what each holds back, as a config says it."""

from collections.abc import Iterable
from collections.abc import Mapping as Map

from tocsin.calendars import Calendars
from tocsin.config.channels import check_quiet, gates_of, read_channels
from tocsin.config.reading import Reading
from tocsin.config.shape import dotted, unknown_key
from tocsin.delivery.model import ChannelSettings
from tocsin.delivery.stand_ins import FAKE_URL, StandIn
from tocsin.document import Entry, Mapping, Node, Scalar, Sequence
from tocsin.errors import Place, Problem

KEYS = ["digest", "quiet", "storm", "min_severity", "resolved", "send_resolved", "fallback", "expire"]
"""Of a channel in a config those that say what becomes of a message before a service has it."""


def read_stand_ins(reading: Reading, node: Node | None, calendars: Calendars) -> dict[str, StandIn] | None:
    """The channels; what is wrong with them is noted. None where nothing is said of any."""
    if node is None:
        return None
    if isinstance(node, Sequence) and node.items:
        return stand_ins(_listed(reading, node), calendars)
    if not isinstance(node, Mapping) or not node.entries:
        hint = "channels: [phone], or what one holds back too: channels: {phone: {digest: 30s}}"
        reading.add(Problem("must be a list of names, at least one", node.place, "channels", hint))
        return None
    whole = Mapping({name: _with_url(reading, entry) for name, entry in node.entries.items()}, node.place)
    sound = read_channels(reading, whole, None)
    check_quiet(reading, whole, sound, calendars)
    return _made({name: sound.get(name, StandIn().settings) for name in whole.entries}, calendars)


def stand_ins(names: Iterable[str], calendars: Calendars) -> dict[str, StandIn]:
    """Channels of these names of which nothing is said."""
    return _made({name: StandIn().settings for name in names}, calendars)


def _made(settings: Map[str, ChannelSettings], calendars: Calendars) -> dict[str, StandIn]:
    return {name: StandIn(channel, gates_of(channel, calendars)) for name, channel in settings.items()}


def _listed(reading: Reading, node: Sequence) -> list[str]:
    names: dict[str, None] = {}
    for count, item in enumerate(node):
        if not isinstance(item, Scalar) or not item.text:
            reading.add(Problem("must be a name", item.place, f"channels[{count}]"))
        elif item.text in names:
            reading.add(Problem(f"`{item.text:.80}` stands here twice", item.place, f"channels[{count}]"))
        else:
            names[item.text] = None
    return list(names)


def _with_url(reading: Reading, entry: Entry) -> Entry:
    """The channel as a config would have it."""
    node, path = entry.value, ("channels", entry.key.text)
    if isinstance(node, Scalar) and node.value is None:
        node = Mapping({}, entry.key.place)
    if not isinstance(node, Mapping):
        hint = "a stand-in has no URL; {} is one of which nothing is said"
        reading.add(Problem("must be a mapping", node.place, dotted(path), hint))
        node = Mapping({}, node.place)
    kept = {"urls": Entry(_scalar("urls", node.place), _scalar(FAKE_URL, node.place))}
    for name, each in node.entries.items():
        if name in KEYS:
            kept[name] = each
        elif name in ChannelSettings.model_fields:
            what = f"`{name}` has no meaning for a stand-in"
            hint = f"leave it out; known here: {', '.join(KEYS)}"
            reading.add(Problem(what, each.key.place, dotted((*path, name)), hint))
        else:
            reading.add(unknown_key(each.key, path, KEYS))
    return Entry(entry.key, Mapping(kept, node.place))


def _scalar(text: str, place: Place) -> Scalar:
    return Scalar(text, text, place)

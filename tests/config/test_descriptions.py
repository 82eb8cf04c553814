"""A description that is wrong is told where, all of it at once; one that is right makes a venue of the config."""

import re
from pathlib import Path

import pytest
import yaml

from tocsin.config import yaml as documents
from tocsin.config.descriptions import described, read_description, shipped_descriptions
from tocsin.config.load import load_settings
from tocsin.errors import ConfigError

HERE = Path(__file__).parent
WHOLE = {
    "summary": "summary: an exchange",
    "tried": "tried: documents",
    "hosts": "hosts: [example.com]",
    "sockets": "sockets: {private: {url: wss://example.com}}",
    "things": "things: {order: {fields: {id: i}}}",
    "messages": "messages: [{gives: order}]",
}
_MARK = re.compile("«(.*?)»")


def completed(text):
    """With what a description can't do without, behind it."""
    there = re.findall(r"^«?(\w+)»?:", text, re.MULTILINE)
    return "\n".join([text, *(line for key, line in WHOLE.items() if key not in there)]) + "\n"


def unmarked(text):
    lines, places = [], set()
    for number, line in enumerate(text.split("\n"), 1):
        while (mark := _MARK.search(line)) is not None:
            places.add((number, mark.start() + 1, len(mark[1])))
            line = line[: mark.start()] + mark[1] + line[mark.end() :]  # noqa: PLW2901 - until none is left
        lines.append(line)
    return "\n".join(lines), places


def problems_of(text):
    node, problems = documents.load(text, "venue.yaml")
    assert not problems
    return read_description(node)


CASES = [
    re.fullmatch(r"(.*)\n==> (.*?)(?: = (.*))?", case, re.DOTALL).groups()
    for case in (HERE / "places_of_descriptions.txt").read_text().strip("\n").split("\n---\n")
]


def test_the_base_of_the_cases_is_right():
    found, problems = problems_of(completed(""))
    assert problems == []
    assert found.supplies == {"order": {"id"}}


@pytest.mark.parametrize(("text", "message", "hint"), CASES, ids=[message for _, message, _ in CASES])
def test_what_is_wrong_is_told_at_its_place(text, message, hint):
    written, marked = unmarked(completed(text))
    found, problems = problems_of(written)
    if text.startswith("«summry»"):  # then it is missing, too
        problems = [problem for problem in problems if "missing" not in problem.message]
    assert found is None
    assert {
        (problem.place.line, problem.place.column, problem.place.length) for problem in problems
    } == marked
    assert {problem.message for problem in problems} == {message}
    if hint is not None:
        assert {problem.hint for problem in problems} == {hint}


def test_all_at_once_with_the_caret():
    text = completed(
        "times: never\n"
        "sign_in: {let: {sign: {hmac: md5, key: a, over: '{{b}}'}}}\n"
        "things:\n  order:\n    fields:\n      id: i\n      prise: p\n      side: {path: 'a..b'}\n"
        "messages: [{gives: ordre}]\n"
    )
    _, problems = problems_of(text)
    told = "\n".join(problem.render() for problem in problems)
    assert [str(problem.place).partition(":")[2] for problem in problems] == [
        "1:8", "2:30", "7:7", "8:23", "9:20",
    ]  # fmt: skip
    assert "   7 |       prise: p\n      |       ^^^^^\n      = did you mean `price`?" in told


def test_what_it_can_t_do_without_is_told_as_missing():
    _, problems = problems_of("summary: nothing else\n")
    assert [problem.message for problem in problems] == [
        f"the key `{key}` is missing" for key in ("tried", "hosts", "sockets", "things", "messages")
    ]


@pytest.mark.parametrize(
    "text",
    ["5", "[]", "a", "", "{}", "things: {order: 5}", "maps: {a: [b]}", "things: {order: {fields: [id]}}"],
)
def test_what_is_no_description_at_all(text):
    found, problems = problems_of(text)
    assert found is None
    assert problems


def test_deep_and_long_values_are_refused():
    deep = "(" * 300 + "a" + ")" * 300
    for path in (deep, "a." * 150 + "b" + " || c" * 100):
        _, problems = problems_of(completed(f"things: {{order: {{fields: {{id: '{path}'}}}}}}"))
        assert [problem.path for problem in problems] == ["things.order.fields.id"]


# ---------------------------------------------------------------------------------------------------------- the config

GIVEN = {"key": "k" * 20, "secret": "c2VjcmV0LXNlY3JldA==", "passphrase": "p" * 12}


def config(folder, venue, files=None):
    (folder / "config.yaml").write_text(
        yaml.safe_dump({"venues": {"px": {"type": "json", **venue}}, "channels": {"me": "json://localhost"}})
    )
    (folder / "config.yaml").chmod(0o600)
    for name, text in (files or {}).items():
        (folder / name).write_text(text)
    return load_settings(folder / "config.yaml", environ={"HOME": "/nowhere"})


def wanted(name):
    return {key: GIVEN[key] for key in described(name).description.given}


@pytest.mark.parametrize("name", shipped_descriptions())
def test_a_shipped_one_is_a_venue_whose_secrets_are_hidden(tmp_path, name):
    found = config(tmp_path, {"describe": name, "given": wanted(name)})
    venue = found.venues["px"]
    assert venue.adapter.supplies["order"]
    for secret in wanted(name).values():
        assert secret not in repr(venue)
        assert found.masker.mask(f"of {secret}!") == "of ***!"


def test_one_of_one_s_own_is_found_from_the_config_on(tmp_path):
    (tmp_path / "venues").mkdir()
    found = config(tmp_path, {"describe": "venues/own.yaml"}, {"venues/own.yaml": completed("")})
    assert found.venues["px"].adapter.summary == "an exchange"
    assert str(tmp_path / "venues" / "own.yaml") in map(str, found.sources)


@pytest.mark.parametrize(
    ("venue", "said"),
    [
        ({}, "venues.px: the key `describe` is missing"),
        ({"describe": "bybt"}, "venues.px.describe: there is no such description"),
        ({"describe": "bybit"}, "venues.px: the key `given` is missing"),
        ({"describe": "bybit", "given": {"key": "k"}}, "venues.px.given: the key `secret` is missing"),
        ({"describe": "bybit", "given": {"key": "k", "secret": "s", "sceret": "x" * 20}}, "unknown key `sceret`"),
        ({"describe": "bybit", "given": wanted("bybit"), "urls": {"wss": "wss://a.com"}}, "unknown key `wss`"),
        ({"describe": "bybit", "given": wanted("bybit"), "urls": {"ws": "a.com"}}, "venues.px.urls.ws: not a URL"),
        (
            {"describe": "bybit", "given": wanted("bybit"), "urls": {"ws": "ws://a.com"}},
            "venues.px.urls.ws: would go unencrypted to another machine",
        ),
        (
            {"describe": "own.yaml", "url": "wss://a.com"},
            "this description calls none of its addresses `ws`: write urls: instead",
        ),
        ({"describe": "broken.yaml"}, "broken.yaml:1:8: error: times: must be one of s, ms, us, ns, iso"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_config(tmp_path, venue, said):
    files = {"own.yaml": completed(""), "broken.yaml": completed("times: never")}
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, venue, files)
    assert said in str(caught.value)
    assert "x" * 20 not in str(caught.value)


def test_what_a_description_wants_is_said_where_nothing_is_given(tmp_path):
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, {"describe": "okx"})
    (problem,) = [each for each in caught.value.problems if "given" in each.message]
    assert problem.hint == "given: {key: …, secret: …, passphrase: …}"


def test_an_address_that_the_config_names_may_be_connected_to(tmp_path):
    venue = {"describe": "bybit", "given": wanted("bybit"), "urls": {"ws": "ws://127.0.0.1:9"}}
    adapter = config(tmp_path, venue).venues["px"].adapter
    assert adapter.hosts.refusal("ws://127.0.0.1:9/x") == ""
    assert adapter.hosts.refusal_of_address("127.0.0.1", 9, "127.0.0.1") == ""
    assert adapter.hosts.refusal("wss://api.bybit.com/x") == ""
    assert adapter.hosts.refusal("ws://127.0.0.2:9/x") != ""
    assert adapter.hosts.refusal_of_address("api.bybit.com", 443, "127.0.0.1") != ""
    assert adapter.hosts.refusal("ws://127.0.0.1:10/x") != ""
    assert adapter.hosts.refusal("http://127.0.0.1:9/x") != ""


def test_a_config_that_is_read_anew_has_the_same_venue_unless_its_description_is_another(tmp_path):
    venue, files = (
        {"describe": "own.yaml"},
        {"own.yaml": completed("given: {key: {default: a, secret: false}}")},
    )
    first, second = (config(tmp_path, venue, files).venues["px"] for _ in range(2))
    assert first == second
    assert first != config(tmp_path, {**venue, "given": {"key": "b"}}, files).venues["px"]
    changed = {"own.yaml": files["own.yaml"].replace("id: i", "id: j")}
    assert first != config(tmp_path, venue, changed).venues["px"]


def test_a_description_as_large_as_none_is(tmp_path):
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        config(tmp_path, {"describe": "own.yaml"}, {"own.yaml": completed("#" * (1 << 20))})

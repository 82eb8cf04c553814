"""The reference is complete, is what the code says, is in the wheel, and can be read on a terminal."""

import re
import zipfile

import pytest
import yaml
from click.testing import CliRunner

from support.made_tables import NIGHT, TABLES, names_in, with_tables
from support.pages import PAGES, REFERENCE, ROOT, cells, text
from tocsin import docs
from tocsin.cli import COMMANDS, cli
from tocsin.cli.help import readable
from tocsin.config.load import OWN, load_settings
from tocsin.delivery.services import _SAME, _SERVICES
from tocsin.engine.language.functions import FUNCTIONS
from tocsin.engine.rule_schema import KEYS, RuleConfig
from tocsin.errors import ConfigError
from tocsin.events.kinds import KINDS
from tocsin.events.vocabulary import events
from tocsin.store.migrations import migrate
from tocsin.store.sql import Database


def run(*arguments):
    return CliRunner().invoke(cli, list(arguments))


class TestPages:
    def test_every_page_is_a_topic(self):
        assert {path.stem for path in REFERENCE["rules"].parent.glob("*.md")} == set(docs.TOPICS)

    @pytest.mark.parametrize("topic", docs.TOPICS)
    def test_its_heading_says_what_it_is_about(self, topic):
        assert docs.page(topic).startswith(f"# {topic.capitalize()}: ")
        assert docs.summary(topic)

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
    def test_its_tables_are_the_codes(self, page):
        assert text(page) == with_tables(text(page)), "run: ./run docs"

    def test_every_table_that_can_be_made_stands_somewhere(self):
        assert {name for page in PAGES for name in names_in(text(page))} == {*TABLES, *NIGHT}

    @pytest.mark.parametrize(("topic", "head", "there"), [
        ("venues", "event", events("venue")),
        ("service", "event", events("daemon")),
        ("config", "section", OWN),
    ])  # fmt: skip
    def test_what_is_told_by_hand_is_all_that_there_is(self, topic, head, there):
        told = [name for cell in cells(REFERENCE[topic], head) for name in re.findall(r"`([^`]+)`", cell)]
        assert sorted(told) == sorted(there)

    def test_every_service_of_which_more_is_known_is_told(self):
        told = set(re.findall(r"`(\w+)://`", "\n".join(text(REFERENCE["channels"]).splitlines())))
        assert told >= {*_SERVICES, *_SAME}

    def test_the_columns_that_are_told_are_in_the_database(self, tmp_path):
        database = Database(tmp_path / "it.db")
        migrate(database)
        there = {*database.table_names(), *database.view_names()}
        rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.*) \|$", text(REFERENCE["state"]), re.MULTILINE)
        for named, said in rows:
            names = re.findall(r"`(\w+)`", named)
            assert set(names) <= there
            columns = set(re.findall(r"`(\w+)`", said))
            assert columns <= {column for name in names for column in database[name].columns_dict}
        database.close()
        assert len(rows) >= 7

    def test_the_wheel_carries_them(self, tmp_path):
        wheel = pytest.importorskip("hatchling.builders.wheel", reason="./run test installs hatchling")
        (built,) = wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
        names = zipfile.ZipFile(built).namelist()
        assert {f"tocsin/docs/{topic}.md" for topic in docs.TOPICS} <= set(names)
        assert "tocsin/shipped/rules/positions.yaml" in names
        assert "tocsin/venues/descriptions/bybit.yaml" in names


class TestHelp:
    def test_lists_each_topic_with_a_line(self):
        listed = run("help")
        assert listed.exit_code == 0
        for topic in docs.TOPICS:
            assert re.search(rf"^{topic} +{re.escape(docs.summary(topic))}$", listed.output, re.MULTILINE)

    @pytest.mark.parametrize("topic", docs.TOPICS)
    def test_a_pipe_gets_the_page_as_it_is(self, topic):
        shown = run("help", topic)
        assert (shown.exit_code, shown.output) == (0, docs.page(topic))
        assert "<!--" not in shown.output

    def test_a_commands_name_gives_its_help(self):
        assert run("help", "replay").output == run("replay", "--help").output

    @pytest.mark.parametrize(
        ("typed", "meant"), [("rule", "rules"), ("Functoins", "functions"), ("chanels", "channels")]
    )
    def test_an_unknown_topic_names_the_nearest(self, typed, meant):
        result = run("help", typed)
        assert result.exit_code == 2
        assert f"no topic is called {typed}; did you mean {meant}?" in result.output

    def test_where_none_is_near_all_are_named(self):
        assert f"there are {', '.join(docs.TOPICS)}" in run("help", "xyzzy").output

    def test_it_is_told_by_help(self):
        assert "help" in COMMANDS
        assert "tocsin help" in run("--help").output


class TestOnATerminal:
    @pytest.mark.parametrize("topic", docs.TOPICS)
    @pytest.mark.parametrize("width", [60, 110])
    def test_no_line_is_too_wide_but_examples(self, topic, width):
        prose = re.sub(r"^```.*?^```", "", docs.page(topic), flags=re.MULTILINE | re.DOTALL)
        for block in readable(prose, width):
            assert [line for line in block.splitlines() if len(line) > width] == []

    @pytest.mark.parametrize("topic", docs.TOPICS)
    def test_all_that_is_said_is_shown(self, topic):
        """But for the heads of tables with two columns, and where links lead."""

        def words(text):
            return set(re.findall(r"[^\W_]+", text))

        said = re.sub(r"\]\([^)]*\)|^```\w*|^\|.*\n(?=\|-)", "", docs.page(topic), flags=re.MULTILINE)
        assert words(said) <= words(" ".join(readable(docs.page(topic), 200)))

    def test_as_it_looks(self):
        page = (
            "# It: so\n\nA **bold** word, `code`, a [page](rules.md) and\nthe end.\n\n- one\n  two\n- three\n\n"
            "| a | b |\n|---|---|\n| `x \\| y` | what x is |\n\n```sh\nls\n```\n"
        )
        assert (
            "\n".join(readable(page, 40))
            == """\
It: so

A bold word, `code`, a page (`tocsin
help rules`) and the end.

- one two
- three

  `x | y`  what x is

    ls
"""
        )


class TestExamplesInTables:
    """An example of a function is a condition of some rule; one of a key stands in a rule that has that key."""

    SORTS = (
        *({"watch": kind} for kind in KINDS if kind != "daemon"),
        {"watch": "position", "per": ["account"]},
        {"watch": "order.rejected"},
    )

    @pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda function: function.name)
    def test_a_functions(self, function, tmp_path):
        assert f"{function.name}(" in function.example
        tried = [wrong_with({**sort, "when": function.example}, tmp_path) for sort in self.SORTS]
        assert [] in tried, tried

    @pytest.mark.parametrize("key", KEYS)
    def test_a_keys(self, key, tmp_path):
        (field,) = (each for name, each in RuleConfig.model_fields.items() if key in (name, each.alias))
        state = {"watch": "position", "when": "profit < -50"}
        assert field.examples
        for example in field.examples:
            events = {"watch": "order.open"}
            rules = [base | {key: example} for base in (state, events, events | {"per": []})]
            tried = [wrong_with(rule, tmp_path) for rule in rules]
            assert [] in tried, tried


def wrong_with(rule, folder):
    """What `check` says of a config with that rule; not that no venue is configured."""
    config = {
        "channels": dict.fromkeys(("phone", "desk"), "json://127.0.0.1:9/"),
        "actions": {key: {"command": ["/bin/true"]} for key in ("hedge", "unhedge")},
        "calendars": {key: {"tz": "Europe/Berlin", "open": ["09:00-17:30"]} for key in ("trading", "day")},
        "rules": [
            {"id": "it"} | rule,
            {"id": "runs", "watch": "position", "when": "profit < -9", "run": ["hedge", "unhedge"]},
            {"id": "venue-down", "watch": "venue", "when": "status == 'disconnected'"},
        ],
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    try:
        problems = load_settings(folder / "config.yaml", validate_url=None).warnings
    except ConfigError as error:
        problems = error.problems
    return [each.render() for each in problems if not each.message.startswith("no venue is configured")]

"""Every venue's messages mean what its cases say, and every venue has what CONTRIBUTING asks of one."""

import pytest
import yaml

from support.adapters import BUILT_IN, EVERY, adapter_of
from support.decoding import TESTS, cases, check
from support.pages import ROOT

CASES = [(venue, case) for venue in EVERY for case in cases(venue)]


@pytest.mark.parametrize(
    ("venue", "case"), [pytest.param(venue, *case.values, id=f"{venue}: {case.id}") for venue, case in CASES]
)
def test_a_message_means(venue, case):
    check(adapter_of(venue), case)


@pytest.mark.parametrize("venue", EVERY)
class TestEachHas:
    def test_its_own_messages_and_where_they_are_from(self, venue):
        fixtures = TESTS / "fixtures" / venue
        assert list(fixtures.glob("*.json"))
        assert (fixtures / "README.md").is_file()


@pytest.mark.parametrize("venue", BUILT_IN)
class TestEachBuiltInHas:
    def test_a_word_on_what_an_odd_value_may_lose(self, venue):
        assert venue in yaml.safe_load((TESTS / "venues" / "odd_values.yaml").read_text(encoding="utf-8"))

    def test_a_place_in_the_example_config(self, venue):
        assert f"#    type: {venue} " in (ROOT / "config.example.yaml").read_text(encoding="utf-8")

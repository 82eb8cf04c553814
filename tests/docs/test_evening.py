"""The page `evening`, and what of it stands in the README, is what phones really show in such a night."""

import pytest

from support.made_tables import NIGHT, names_in, with_tables
from support.pages import PAGES, text

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    "page", [page for page in PAGES if {*names_in(text(page))} & {*NIGHT}], ids=lambda page: page.stem
)
def test_it_is_what_the_phones_show(page):
    assert text(page) == with_tables(text(page), NIGHT), "run: ./run docs"

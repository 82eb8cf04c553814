"""Each screen once on an ordinary evening, and once full of hostile text. `./run browser` looks at the rest (`browse_everything.py`)."""

import pytest

from support.chrome import PHONE, addresses, looked_at, sign_in
from support.site import Site
from support.states import OURS_ALONE, STATES

pytestmark = pytest.mark.real


@pytest.mark.parametrize("state", ["ordinary", "hostile"])
def test_every_screen(browser, tmp_path, state):
    with Site(tmp_path) as site:
        STATES[state](site)
        context = browser.new_context(viewport={"width": PHONE[0], "height": PHONE[1]}, has_touch=True)
        with looked_at(context, site) as look:
            sign_in(look.page, site)
        wrong = []
        for name, path in addresses(site).items():
            try:
                with looked_at(context, site) as look:
                    look.opens(f"{site.url}{path}")
                    look.fits()
                    look.can_be_touched()
                    look.is_accessible()
                    told = state == "hostile" and name not in OURS_ALONE
                    look.shows_hostile_text_as_text(told=told)
            except AssertionError as error:
                wrong.append(f"{name} ({path}): {error}")
        assert wrong == [], "\n\n".join(wrong)

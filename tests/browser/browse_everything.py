"""Every screen in every state, width and theme: `./run browser`. One browser does it all; the screenshots stay, for somebody to look at.

What is wrong is told at the end, all of it.
"""

import re
import statistics
import time
from pathlib import Path

import pytest

from support.chrome import (
    DESK,
    PHONE,
    SMALL,
    Browser,
    BrowserContext,
    Look,
    addresses,
    expect,
    looked_at,
    sign_in,
)
from support.mission import profit
from support.site import Site
from support.states import OURS_ALONE, STATES

pytestmark = pytest.mark.real

SIZES = (DESK, PHONE, SMALL)
_AIM, _TIMES = 1.0, 5  # seconds from the venue's message to the alert on the screen; a busy machine is slower
_ALERTS = 20


@pytest.mark.parametrize("state", STATES)
def browse_every_screen(browser: Browser, tmp_path, shots, state):
    wrong: list[str] = []
    with Site(tmp_path) as site:
        STATES[state](site)
        for theme in ("light", "dark"):
            context = browser.new_context(color_scheme=theme, has_touch=True)
            with looked_at(context, site) as look:
                sign_in(look.page, site)
            for name, path in addresses(site).items():
                told = state == "hostile" and name not in OURS_ALONE
                wrong += _looked(context, site, path, shots / state / theme, told=told)
            context.close()
        assert wrong == [], "\n\n".join(wrong)


def _looked(context: BrowserContext, site: Site, path: str, folder: Path, *, told: bool) -> list[str]:
    """What is wrong with the screen at that path, in any width."""
    wrong: list[str] = []
    at = f"{folder.parent.name}, {folder.name}, {path}"

    def tried(check, *arguments, **named) -> None:
        try:
            check(*arguments, **named)
        except AssertionError as error:
            wrong.append(f"{at}: {error}")

    with looked_at(context, site) as look:
        look.page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        tried(look.opens, f"{site.url}{path}")
        tried(look.shows_hostile_text_as_text, told=told)
        for width, height in SIZES:
            at = f"{folder.parent.name}, {folder.name}, {width} px, {path}"
            look.page.set_viewport_size({"width": width, "height": height})
            tried(_measured, look, width)
            name = re.sub(r"\W+", "-", path.partition("?")[0]).strip("-") or "overview"
            look.page.screenshot(path=folder / f"{name}-{width}.png", full_page=True)
        tried(look.is_quiet)
        look.trouble.clear()
    return wrong


def _measured(look: Look, width: int) -> None:
    look.fits()
    if width != DESK[0]:
        look.can_be_touched()
    if width != PHONE[0]:  # which has what the small one has
        look.is_accessible()


def browse_how_soon_an_alert_appears(browser: Browser, tmp_path, figures):
    """From the venue's message to the alert on the screen, without a reload."""
    with Site(tmp_path) as site:
        STATES["ordinary"](site)
        took = []
        with looked_at(browser.new_context(), site) as look:
            sign_in(look.page, site)
            expect(look.page.locator("#live")).to_have_text("live")
            for number in range(_ALERTS):
                begun = time.monotonic()
                site.at_the_venues(profit, site.exchange, -1000.5 - number, "created", f"soon-{number}")
                expect(look.page.locator("#part-firing")).to_contain_text(f"-{1000 + number}.5 USD")
                took.append(time.monotonic() - begun)
    median = statistics.median(took)
    figures.append(
        f"an alert appears after {median:.2f} s (median of {_ALERTS}), {max(took):.2f} s at most; aim {_AIM:g} s"
    )
    assert median <= _TIMES * _AIM

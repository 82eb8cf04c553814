"""The page on a slow phone: how long until its overview, with a thousand of everything, is seen for the first time, and again."""

import statistics

import pytest

from support.chrome import PHONE, Browser, Page, chromium, sign_in
from support.site import Site
from support.states import STATES

pytestmark = pytest.mark.real

ROUNDS = 3
SLOWER = 4  # times, than this machine's processor
NETWORK = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
"""Milliseconds, and bytes a second: 400 kbit/s."""
_SEEN = "() => performance.getEntriesByName('first-contentful-paint').map((each) => each.startTime)[0]"


def bench_first_sight(figures, tmp_path):
    with Site(tmp_path) as site, chromium() as browser:
        STATES["many"](site)
        first, again = zip(*(_seen(browser, site) for _ in range(ROUNDS)), strict=True)
    figures["first sight"], figures["second sight"] = statistics.median(first), statistics.median(again)


def _seen(browser: Browser, site: Site) -> tuple[float, float]:
    """Seconds until something is on the screen of who is signed in, and hasn't been here before; and when all but the page is known."""
    context = browser.new_context(viewport={"width": PHONE[0], "height": PHONE[1]})
    page = context.new_page()
    sign_in(page, site)
    cookies = context.cookies()
    context.close()
    context = browser.new_context(viewport={"width": PHONE[0], "height": PHONE[1]}, is_mobile=True)
    context.add_cookies(cookies)
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", NETWORK)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    try:
        return _painted(page, site), _painted(page, site)
    finally:
        context.close()


def _painted(page: Page, site: Site) -> float:
    page.goto(f"{site.url}/", wait_until="load")
    seconds = page.evaluate(_SEEN) / 1000
    page.goto("about:blank")
    return seconds

"""A page of the browser, looked at as a whole: what the console says, whom it asks, whether axe finds something, what hostile text became.

Where there is no browser, what imports this skips; with TOCSIN_BROWSER=required, as in CI, it fails instead.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from support.site import Site
from support.states import HOSTILE, TURNED
from tocsin.page.screens import SCREENS

STANDS = 1300  # milliseconds, after which what came to a place may be pressed there
CHROMIUM = os.environ.get("TOCSIN_CHROMIUM", "/usr/bin/chromium")


def _without(why: str) -> None:
    if os.environ.get("TOCSIN_BROWSER") == "required":
        pytest.fail(why, pytrace=False)
    pytest.skip(f"nobody looks at the page: {why}", allow_module_level=True)


if shutil.which(CHROMIUM) is None:
    _without(
        f"no browser is at {CHROMIUM} (Debian: apt install chromium fonts-dejavu-core; or TOCSIN_CHROMIUM names one)"
    )
try:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import (
        Browser,
        BrowserContext,
        Dialog,
        Page,
        Request,
        Response,
        expect,
        sync_playwright,
    )
except ImportError as error:
    _without(f"{error}: ./run browser installs it")

__all__ = [
    "Browser",
    "BrowserContext",
    "Look",
    "Page",
    "addresses",
    "chromium",
    "expect",
    "looked_at",
    "sign_in",
]

PATIENCE = 60_000  # milliseconds that something may take to be seen; a machine under load is slow
PHONE, SMALL, DESK = (390, 844), (320, 640), (1280, 900)
_ARGUMENTS = ["--no-sandbox"] if os.geteuid() == 0 else []  # root has no sandbox
_SIDEWAYS = """() => {
  const wide = document.documentElement.clientWidth, found = [];
  if (document.documentElement.scrollWidth <= wide) return found;
  for (const each of document.querySelectorAll("body *")) {
    const right = each.getBoundingClientRect().right;
    if (right > wide + 0.5) found.push(`${each.tagName.toLowerCase()}.${each.className} to ${Math.round(right)} of ${wide}`);
  }
  return found.slice(0, 12);
}"""
_BEYOND = """() => [...document.querySelectorAll(".nav a")]
  .map((each) => [each, each.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.left < 0 || box.right > document.documentElement.clientWidth + 0.5))
  .map(([each]) => each.textContent.trim())"""
_CUT = """() => {
  const SCROLLS = ".yaml, .prose, .prose pre"; // files and reference
  const found = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
  while (walker.nextNode()) {
    const inside = walker.currentNode.parentElement, panel = inside.closest(".panel, .banner, .tile, .top, dialog");
    if (!panel || !inside.checkVisibility()) continue;
    let apart = false;
    for (let each = inside; ; each = each.parentElement) {
      const how = getComputedStyle(each).overflowX;
      apart ||= how !== "visible" && (each !== panel && how === "hidden" || each.matches(SCROLLS));
      if (each === panel) break;
    }
    if (apart) continue;
    range.selectNodeContents(walker.currentNode);
    const edge = panel.getBoundingClientRect().right;
    const right = Math.max(...[...range.getClientRects()].map((box) => box.right));
    if (right > edge + 0.5) found.add(`${inside.tagName.toLowerCase()}.${inside.className}: ${inside.textContent.trim().slice(0, 60)} to ${Math.round(right)} of ${Math.round(edge)}`);
  }
  return [...found].slice(0, 12);
}"""
_SMALL = """() => [...document.querySelectorAll("a.btn, .nav a, button, input:not([type=hidden]), select, summary")]
  .filter((each) => each.getClientRects().length && !each.classList.contains("vh"))
  .map((each) => [each, each.getBoundingClientRect()])
  .filter(([, box]) => box.height < 43.5)
  .map(([each, box]) => `${each.outerHTML.slice(0, 120)}: ${Math.round(box.width)} x ${Math.round(box.height)}`)"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser process. Until it is gone this thread can run no other asyncio: playwright's own is in the way."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def addresses(site: Site) -> dict[str, str]:
    """Where each screen is found, by its path as it is declared, and what else is a page of its own; of what there is none, nothing."""
    fired = site.folder.rows("SELECT id FROM alerts ORDER BY rule = 'deep-red' DESC, id LIMIT 1")
    shown = {"/a/{id}": [id_ for (id_,) in fired], "/r/{id}": ["deep-red"], "/help/{topic}": ["rules"]}
    found = {}
    for screen in SCREENS:
        for one in shown[screen.path] if "{" in screen.path else [""]:
            found[screen.path] = re.sub(r"\{.*\}", one, screen.path)
    matchers = quote("rule=deep-red venue=fx")
    return {**found, "/silences/new": f"/silences/new?matchers={matchers}&next=/", "/login": "/login"}


class Look:
    """One page, open. `trouble` gathers what a page never does; `excused`, how those begin that a test brings about."""

    def __init__(self, page: Page, host: str) -> None:
        self.page, self.trouble, self.excused = page, list[str](), tuple[str, ...]()
        self._host = host
        page.on("console", lambda message: self.trouble.append(f"console: {message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", self._request)
        page.on("response", self._response)

    def _dialog(self, dialog: Dialog) -> None:
        self.trouble.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        asked = urlsplit(request.url)
        if asked.scheme not in ("data", "about") and asked.netloc != self._host:
            self.trouble.append(f"asks elsewhere: {request.url:.200}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.trouble.append(f"{response.status}: {response.url}")

    # ------------------------------------------------------------------------------------------------ what has to be so

    def opens(self, url: str) -> None:
        answer = self.page.goto(url)
        assert answer is not None
        assert answer.status == 200, f"{answer.status}: {url}"

    def is_quiet(self) -> None:
        found = [each for each in self.trouble if not (self.excused and each.startswith(self.excused))]
        assert found == [], "\n".join(found)

    def fits(self) -> None:
        """Nothing is wider than the window, no text than the card that it stands in."""
        found: list[str] = self.page.evaluate(_SIDEWAYS)
        assert found == [], "scrolls sideways: " + "\n".join(found)
        cut: list[str] = self.page.evaluate(_CUT)
        assert cut == [], "cut off by what it stands in: " + "\n".join(cut)
        beyond: list[str] = self.page.evaluate(_BEYOND)
        assert beyond == [], f"of the navigation out of reach: {beyond}"

    def can_be_touched(self) -> None:
        """What is pressed is at least 44 px high."""
        found: list[str] = self.page.evaluate(_SMALL)
        assert found == [], "small for a finger: " + "\n".join(found)

    def is_accessible(self) -> None:
        """axe finds nothing, of any impact."""
        found: list[Mapping[str, Any]] = Axe().run(self.page).response["violations"]
        assert found == [], "\n".join(
            f"{each['id']} ({each['impact']}): {node['html'][:300]}: {node['failureSummary']}"
            for each in found
            for node in each["nodes"][:5]
        )

    def shows_hostile_text_as_text(self, *, told: bool) -> None:
        """`told`: this screen shows some."""
        assert self.page.locator("img[src=x], [onerror]").count() == 0
        text = self.page.locator("body").inner_text()
        turned = [f"{text[max(at - 80, 0) : at + 80]!a}" for at, char in enumerate(text) if char in TURNED]
        assert turned == [], "turns letters round: " + "\n".join(turned)
        assert (HOSTILE in text) == told, f"{'nowhere' if told else 'here, too'}: {HOSTILE}"


@contextmanager
def looked_at(context: BrowserContext, site: Site) -> Iterator[Look]:
    """A new page, which has been quiet when it is closed."""
    page = context.new_page()
    try:
        look = Look(page, urlsplit(site.url).netloc)
        yield look
        look.is_quiet()
    finally:
        page.close()


def sign_in(page: Page, site: Site, path: str = "/") -> None:
    """By the token of somebody, as a person does it: whoever asks for a page is sent to sign in, and then there."""
    page.goto(f"{site.url}{path}")
    page.get_by_label("Your token").fill(site.token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("contentinfo")).to_contain_text(f"signed in as {site.person}")

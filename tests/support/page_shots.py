"""Takes the README's pictures of the page: `python -m support.page_shots` (with tests/ on PYTHONPATH), in the demo and a real browser.

They are daemon/tocsin/docs/page-overview.jpg, light on a desk, and page-alert.jpg, dark on a phone.
"""

import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, expect

import tocsin
from support.chrome import chromium

FOLDER = Path(tocsin.__file__).parent / "docs"
_DESK, _PHONE = {"width": 1180, "height": 900}, {"width": 390, "height": 760}
_QUALITY = 62  # of JPEG
_ENOUGH = 75_000  # milliseconds until there is something to be seen in charts
_PATIENCE = 60_000  # milliseconds until something fires


def take(browser: Browser, link: str) -> None:
    """Sign in by the link, wait until something fires that has a chart, and look."""
    address = link.partition("/login")[0]
    context = browser.new_context(viewport=_DESK, color_scheme="light")
    page = context.new_page()
    page.goto(link)
    page.get_by_role("button", name="Sign in as").click()
    page.wait_for_timeout(_ENOUGH)
    expect(page.locator(".alert .spark").first).to_be_visible(timeout=_PATIENCE)
    page.screenshot(path=FOLDER / "page-overview.jpg", type="jpeg", quality=_QUALITY)
    alert = page.locator(".alert:has(.spark) .t a").first.get_attribute("href")
    phone = browser.new_context(viewport=_PHONE, color_scheme="dark", storage_state=context.storage_state())
    page = phone.new_page()
    page.goto(f"{address}{alert}")
    expect(page.locator(".chart canvas").first).to_be_visible()
    page.screenshot(path=FOLDER / "page-alert.jpg", type="jpeg", quality=_QUALITY)


def main() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tocsin", "demo", "--page", "--seconds", "240"],
        stdout=subprocess.PIPE,
        text=True,
    ) as demo:
        try:
            link = next(
                found[0] for line in demo.stdout if (found := re.search(r"http://\S+/login\S+", line))
            )
            with chromium() as browser:
                take(browser, link)
        finally:
            demo.terminate()


if __name__ == "__main__":
    main()

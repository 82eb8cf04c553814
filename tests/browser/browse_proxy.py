"""Behind a reverse proxy with TLS, below a path that it takes away or leaves: links, cookies and the stream are right."""

import ssl
from functools import partial

import pytest
import trio
import trustme

from support.chrome import STANDS, Browser, addresses, expect, looked_at, sign_in
from support.mission import connected, profit
from support.proxy import PREFIX, forward
from support.site import Site

pytestmark = pytest.mark.real

RULES = [{"id": "deep-red", "watch": "position", "when": "profit < -50", "severity": "critical"}]


def proxied(site: Site, *, strips: bool) -> str:
    """Where the page is found then."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(tls)
    host, _, port = site.address.partition(":")
    serve = partial(forward, backend=(host, int(port)), strips=strips, host="tocsin.test")
    (listener,) = site.beside(
        partial(trio.serve_ssl_over_tcp, serve, 0, tls, host="127.0.0.1", https_compatible=True)
    )
    return f"https://localhost:{listener.transport_listener.socket.getsockname()[1]}{PREFIX}"


def browse_below_a_path_of_a_proxys(browser: Browser, tmp_path):
    with Site(tmp_path) as site:
        ways = [proxied(site, strips=strips) for strips in (False, True)]
        site.start(
            listen={"public_url": f"https://tocsin.test{PREFIX}/", "proxy": ["127.0.0.1"]},
            venues={"fx": site.exchange.yourfintech.settings()},
            channels={"phone": site.phone},
            rules=RULES,
            defaults={"notify": ["phone"]},
        )
        site.do(connected, site.daemon, "fx")
        for site.url in ways:
            context = browser.new_context(ignore_https_errors=True)
            with looked_at(context, site) as look:
                look.page.clock.install()
                sign_in(look.page, site)
                (cookie,) = context.cookies()
                assert cookie["name"].startswith("__Host-")
                expect(look.page.locator("#live")).to_have_text("live")
                site.at_the_venues(profit, site.exchange, -60.25, "created", f"p-{ways.index(site.url)}")
                row = look.page.locator(".alert:not(.acked)")
                expect(row).to_have_count(1)
                look.page.clock.fast_forward(STANDS)
                row.get_by_role("button", name="Acknowledge").click()
                expect(row).to_have_count(0)
                links = look.page.locator("a[href]")
                hrefs = links.evaluate_all("all => all.map((each) => each.getAttribute('href'))")
                assert [each for each in hrefs if not each.startswith((f"{PREFIX}/", "#"))] == []
            for path in addresses(site).values():
                with looked_at(context, site) as look:
                    look.opens(f"{site.url}{path}")

"""What people do on the page: they see an alert come, acknowledge it, silence it, by fingers, by keys, without JavaScript."""

import re
import signal

import pytest

from support.chrome import PHONE, STANDS, Browser, Page, expect, looked_at, sign_in
from support.mission import connected, profit
from support.site import Site

pytestmark = pytest.mark.real

PAINTED = """(color) => {
  const box = document.createElement("i");
  box.style.color = color;
  document.body.append(box);
  const painted = getComputedStyle(box).color;
  box.remove();
  return painted;
}"""
RULES = [{"id": "red", "watch": "position", "when": "profit < -50", "severity": "critical"}]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Site(tmp_path_factory.mktemp("site")) as site:
        site.start(
            venues={"fx": site.exchange.yourfintech.settings() | {"silent_after": "1h"}},
            channels={"phone": {"urls": [site.phone], "answers": [site.person], "storm": "off"}},
            defaults={"notify": ["phone"]},
            rules=RULES,
        )
        site.do(connected, site.daemon, "fx")
        yield site


def in_the_red(site: Site, position: str, value: float = -60.25, what: str = "created") -> None:
    site.at_the_venues(profit, site.exchange, value, what, position)


def alert_of(site: Site, position: str) -> str:
    """The id of its alert, once it fires."""
    query = "SELECT id FROM alerts WHERE entity = ? AND state = 'firing'"
    ((id_,),) = site.until(lambda: site.folder.rows(query, position), f"{position} fires")
    return id_


def row(page: Page, alert: str):
    return page.locator(f".alert[data-alert='{alert}']")


def middle(button) -> tuple[float, float]:
    box = button.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def is_live(page: Page) -> None:
    expect(page.locator("#live")).to_have_text("live")


def browse_an_alert_appears_and_who_has_it_is_seen_everywhere(browser: Browser, site: Site):
    with looked_at(browser.new_context(), site) as one, looked_at(browser.new_context(), site) as other:
        for look in (one, other):
            look.page.clock.install()
            sign_in(look.page, site)
            is_live(look.page)
        one.page.evaluate("window.loadedOnce = true")
        in_the_red(site, "seen")
        alert = alert_of(site, "seen")
        for look in (one, other):
            expect(row(look.page, alert)).to_contain_text("-60.25 USD")
            expect(look.page).to_have_title("1 firing · Overview · Tocsin")
        expect(one.page.locator("#shout")).to_contain_text("critical: -60.25 USD BTCUSD long")
        messages = site.chats.telegram.messages
        site.until(lambda: messages, "it is told on Telegram")

        one.page.clock.fast_forward(STANDS)
        row(one.page, alert).get_by_role("button", name="Acknowledge").click()
        for look in (one, other):
            expect(row(look.page, alert)).to_contain_text("acknowledged by anna")
        assert one.page.evaluate("window.loadedOnce") is True
        assert "acknowledged" in site.command("alerts")
        site.until(
            lambda: any("acknowledged by anna" in each.text for each in messages.values()), "Telegram says so"
        )
        in_the_red(site, "seen", 1, "updated")
        expect(row(one.page, alert)).to_have_count(0)


def browse_keys_alone_from_sign_in_to_an_acknowledged_alert(browser: Browser, site: Site):
    in_the_red(site, "keys")
    alert = alert_of(site, "keys")
    with looked_at(browser.new_context(), site) as look:
        page = look.page
        page.goto(site.url)
        expect(page.get_by_label("Your token")).to_be_focused()
        page.keyboard.type(site.token)
        page.keyboard.press("Enter")
        is_live(page)
        page.keyboard.press("j")
        expect(row(page, alert).locator(".t a")).to_be_focused()
        page.keyboard.press("a")
        expect(row(page, alert)).to_contain_text("acknowledged by anna")
        expect(page.locator("#toast")).to_contain_text("Acknowledged.")
        expect(row(page, alert).locator(".t a")).to_be_focused()
        page.keyboard.press("s")
        expect(page.get_by_role("dialog").get_by_role("button", name="1 h")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(row(page, alert).locator(".pill", has_text="silenced")).to_have_count(0)
    in_the_red(site, "keys", 1, "updated")


def browse_a_new_alert_above_takes_no_focus_and_keys_go_on_from_the_old_place(browser: Browser, site: Site):
    places = ("first", "second", "third")
    alerts = []
    for number, position in enumerate(places):
        in_the_red(site, position, -60 - number)
        alerts.append(alert_of(site, position))
    with looked_at(browser.new_context(), site) as look:
        page = look.page
        sign_in(page, site)
        is_live(page)
        page.keyboard.press("s")
        expect(page.locator("#toast")).to_contain_text("choose one with j")
        shown = page.locator(".alert").evaluate_all("found => found.map((each) => each.dataset.alert)")
        button = row(page, shown[1]).get_by_role("button", name="Acknowledge")
        button.focus()
        in_the_red(site, "newest", -99)
        alert = alert_of(site, "newest")
        expect(row(page, alert)).to_have_count(1)
        expect(button).to_be_focused()
        page.keyboard.press("Enter")
        expect(row(page, shown[1])).to_contain_text("acknowledged by anna")
        expect(page.locator(".alert.acked")).to_have_count(1)

        shown = page.locator(".alert").evaluate_all("found => found.map((each) => each.dataset.alert)")
        page.keyboard.press("j")
        expect(row(page, shown[0]).locator(".t a")).to_be_focused()
        page.keyboard.press("a")
        expect(row(page, shown[0])).to_contain_text("acknowledged by anna")
        page.keyboard.press("j")
        expect(row(page, shown[1]).locator(".t a")).to_be_focused()
        page.keyboard.press("u")
        expect(page.locator("#toast")).to_contain_text("Taken back.")
        expect(row(page, shown[0])).not_to_contain_text("acknowledged by anna")
    for position in (*places, "newest"):
        in_the_red(site, position, 1, "updated")


@pytest.mark.parametrize("width", [1280, PHONE[0]])
def browse_a_second_press_hits_nothing_that_came_under_the_pointer(browser: Browser, site: Site, width: int):
    places = ("upper", "middle", "lower")
    for number, position in enumerate(places):
        in_the_red(site, position, -60 - number)
        alert_of(site, position)
    context = browser.new_context(viewport={"width": width, "height": 844})
    with looked_at(context, site) as look:
        page = look.page
        sign_in(page, site, "/alerts")
        is_live(page)
        page.clock.install()
        expect(page.locator(".alert[data-alert]")).to_have_count(3)
        shown = page.locator(".alert").evaluate_all("found => found.map((each) => each.dataset.alert)")
        button = row(page, shown[0]).get_by_role("button", name="Acknowledge")
        spot = middle(button)
        page.mouse.click(*spot)
        page.wait_for_selector(f"[data-alert='{shown[0]}'].acked")
        page.mouse.click(*spot)
        expect(page.locator("#toast")).to_contain_text("wasn't pressed")
        expect(page.locator("#toast").get_by_role("button", name="Undo")).to_be_visible()
        page.clock.fast_forward(STANDS)
        page.mouse.click(*middle(row(page, shown[2]).get_by_role("button", name="Acknowledge")))
        expect(row(page, shown[2])).to_have_class(re.compile("acked"))
        assert row(page, shown[1]).get_by_role("button", name="Acknowledge").count() == 1
        page.clock.fast_forward(STANDS)
        page.locator("#toast").get_by_role("button", name="Undo").click()
        expect(page.locator("#toast")).to_have_text("Taken back.")
        expect(row(page, shown[2])).not_to_have_class(re.compile("acked"))

        page.goto(f"{site.url}/a/{shown[1]}")
        is_live(page)
        spot = middle(page.get_by_role("button", name="Acknowledge").locator("visible=true"))
        page.mouse.click(*spot)
        page.get_by_role("button", name="Take back").locator("visible=true").wait_for()
        page.mouse.click(*spot)
        expect(page.locator("#toast")).to_contain_text("wasn't pressed")
        page.clock.fast_forward(STANDS)
        page.mouse.click(*spot)
        expect(page.locator("#toast")).to_have_text("Taken back.")
        for position in places:
            in_the_red(site, position, 1, "updated")
        expect(page.locator("#part-head")).to_contain_text("resolved")


def browse_what_is_unfolded_stays_so_when_news_come(browser: Browser, site: Site):
    in_the_red(site, "unfolded")
    alert = alert_of(site, "unfolded")
    with looked_at(browser.new_context(), site) as look:
        page = look.page
        sign_in(page, site, f"/a/{alert}")
        is_live(page)
        folds = page.locator("#part-messages details")
        expect(folds).to_have_count(1)
        first = page.locator("#part-messages tr", has=page.locator("details")).get_attribute("id")
        folds.locator("summary").click()
        in_the_red(site, "unfolded", 1, "updated")
        expect(folds).to_have_count(2)
        expect(page.locator("#part-messages details[open]")).to_have_count(1)
        expect(page.locator(f"#{first} details[open]")).to_have_count(1)


def browse_without_javascript_from_sign_in_to_an_acknowledged_alert(browser: Browser, site: Site):
    in_the_red(site, "plain")
    alert = alert_of(site, "plain")
    with looked_at(browser.new_context(java_script_enabled=False), site) as look:
        page = look.page
        sign_in(page, site)
        expect(page.locator(".noscript")).to_contain_text("Without JavaScript")
        row(page, alert).get_by_role("button", name="Acknowledge").click()
        expect(row(page, alert)).to_contain_text("acknowledged by anna")
        row(page, alert).get_by_role("link", name="Silence").click()
        page.get_by_label("Why").fill("at the desk")
        page.get_by_role("button", name="1 h", exact=True).click()
        expect(row(page, alert).locator(".pill", has_text="silenced")).to_have_count(1)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading")).to_have_text("You are signed out")
    assert ("anna", "page", "silence", "at the desk") in site.folder.rows(
        "SELECT by, via, does, why FROM acts"
    )
    ((silence,),) = site.folder.rows("SELECT id FROM silences")
    site.post(f"/api/silences/{silence}/end")
    in_the_red(site, "plain", 1, "updated")


def browse_from_a_messages_link_to_a_silence_in_three_touches(browser: Browser, site: Site):
    in_the_red(site, "touched")
    alert = alert_of(site, "touched")
    size = {"width": PHONE[0], "height": PHONE[1]}
    context = browser.new_context(viewport=size, has_touch=True, is_mobile=True)
    with looked_at(context, site) as look:
        sign_in(look.page, site)
    with looked_at(context, site) as look:
        page = look.page
        page.set_content(f"<a href='{site.url}/a/{alert}'>a message in a chat</a>")
        page.get_by_role("link").tap()
        page.get_by_role("link", name="Silence…").locator("visible=true").first.tap()
        page.get_by_role("button", name="1 h", exact=True).tap()
        expect(page.locator("main")).to_contain_text("silenced")
    ((silence,),) = site.folder.rows("SELECT id FROM silences ORDER BY id DESC LIMIT 1")
    assert ("anna", silence) in site.folder.rows("SELECT by, target FROM acts WHERE does = 'silence'")
    site.post(f"/api/silences/{silence}/end")


def browse_a_window_more_than_have_a_stream_looks_by_itself(browser: Browser, site: Site):
    in_the_red(site, "windows", -6.5)
    with looked_at(browser.new_context(), site) as look:
        sign_in(look.page, site)
        is_live(look.page)
        streams = [look.page, *(look.page.context.new_page() for _ in range(3))]
        for page in streams[1:3]:
            page.goto(f"{site.url}/")
            is_live(page)
        page = streams[3]
        page.clock.install()
        look.excused = ("console: error: Failed to load resource", "503: ")
        page.goto(f"{site.url}/")
        expect(page.locator("#live")).to_have_text("looks every 15 s: too many windows")
        in_the_red(site, "windows", -7.5, "updated")
        expect(streams[0].locator("#part-positions")).to_contain_text("-7.5")
        page.clock.fast_forward(15_500)
        expect(page.locator("#part-positions")).to_contain_text("-7.5")
        expect(page.locator("body[data-broken]")).to_have_count(0)
        streams[2].close()
        page.clock.fast_forward(15_500)
        is_live(page)
        site.at_the_venues(site.daemon.kill)
        expect(page.locator("#live")).to_contain_text("not live since")
        site.do(site.daemon.start)
        site.do(connected, site.daemon, "fx")


def browse_the_silence_dialog_says_that_nobody_answers_and_leads_to_the_sign_in(browser: Browser, site: Site):
    in_the_red(site, "asked")
    alert = alert_of(site, "asked")
    with looked_at(browser.new_context(), site) as look:
        page = look.page
        sign_in(page, site)
        is_live(page)
        look.excused = ("console: error: Failed to load resource", "401: ")
        page.keyboard.press("j")
        expect(row(page, alert).locator(".t a")).to_be_focused()
        page.route("**/silences/new?*", lambda route: route.abort())
        page.keyboard.press("s")
        expect(page.locator("#toast")).to_have_text("that didn't work: Tocsin doesn't answer")
        page.unroute("**/silences/new?*")
        page.context.clear_cookies()
        page.keyboard.press("s")
        expect(page.get_by_label("Token")).to_be_visible()


def browse_a_part_that_could_not_be_read_is_looked_at_again(browser: Browser, site: Site):
    in_the_red(site, "unread", -9.5)
    part = "id='part-told' class='part' data-part='told' data-topics='told' hx-swap-oob='morph'"
    gone = f"<div {part}><p data-unavailable>not now</p></div>"
    with looked_at(browser.new_context(), site) as look:
        page = look.page
        page.clock.install()
        page.route("**/?*part=*", lambda route: route.fulfill(body=gone, content_type="text/html"))
        sign_in(page, site)
        expect(page.locator("#part-told")).to_contain_text("not now")
        is_live(page)
        page.unroute("**/?*part=*")
        page.clock.fast_forward(13_000)
        expect(page.locator("#part-told")).not_to_contain_text("not now")
        expect(page.locator("[data-unavailable]")).to_have_count(0)


def browse_a_rule_that_a_reload_takes_out_is_gone_and_what_was_typed_stays(browser: Browser, site: Site):
    with looked_at(browser.new_context(), site) as look:
        page = look.page
        sign_in(page, site, "/r/red")
        is_live(page)
        look.excused = ("console: error: Failed to load resource", "404: ")
        page.get_by_role("textbox").first.fill("-75")
        page.route("**/r/red?*part=*", lambda route: route.fulfill(status=404, body="Not here"))
        in_the_red(site, "taken out")
        expect(page.locator("#live")).to_have_text("gone: this isn't there any more")
        expect(page.get_by_role("textbox").first).to_have_value("-75")
        page.unroute("**/r/red?*part=*")
        in_the_red(site, "taken out", 1, "updated")
        is_live(page)
        expect(page.locator("body[data-broken]")).to_have_count(0)


def browse_a_venue_that_drops_is_grey_and_comes_back(browser: Browser, site: Site):
    venue = site.exchange.yourfintech
    in_the_red(site, "grey", -3.5)
    in_the_red(site, "red")
    alert_of(site, "red")
    with looked_at(browser.new_context(), site) as look:
        sign_in(look.page, site)
        is_live(look.page)
        numbers = look.page.locator("#part-positions tr", has_text="-3.5")
        expect(numbers).to_have_count(1)
        venue.refuse_with = 503
        site.at_the_venues(venue.hang_up)
        expect(look.page.locator("#part-banner")).to_contain_text("fx is disconnected")
        expect(numbers).to_contain_text("as of")
        faint = look.page.evaluate("getComputedStyle(document.body).getPropertyValue('--faint')")
        painted = look.page.evaluate(PAINTED, faint)
        for number in (
            "#part-positions tr.stale .num",
            "#part-tiles .tile:nth-child(3) .v",
            "#part-firing .alert .t b",
        ):
            expect(look.page.locator(number).first).to_have_css("color", painted)
        venue.refuse_with = None
        expect(look.page.locator("#part-banner")).not_to_contain_text("fx is")
        in_the_red(site, "grey", -4.5, "updated")
        expect(look.page.locator("#part-positions tr", has_text="-4.5")).not_to_contain_text("as of")


def browse_the_daemon_is_killed_and_started_and_nothing_stale_is_shown(browser: Browser, site: Site):
    in_the_red(site, "killed", -7.125)
    with looked_at(browser.new_context(), site) as look:
        page = look.page
        sign_in(page, site)
        is_live(page)
        expect(page.locator("#part-positions")).to_contain_text("-7.125")
        look.excused = ("console: error: Failed to load resource", "console: error: htmx:")
        site.at_the_venues(site.daemon.kill)
        expect(page.locator("#live")).to_contain_text("not live since")
        expect(page.locator(".state")).to_be_hidden()
        expect(page.locator("body[data-away]")).to_have_count(1)
        site.do(site.daemon.start)
        site.do(connected, site.daemon, "fx")
        in_the_red(site, "killed", -8.25, "updated")
        is_live(page)
        expect(page.locator("#part-positions")).to_contain_text("-8.25")
        expect(page.locator("#part-positions")).not_to_contain_text("-7.125")
        expect(page.locator("body[data-away]")).to_have_count(0)


def browse_on_a_phone_a_daemon_that_stands_still_is_seen_and_nothing_is_said_to_be_done(
    browser: Browser, site: Site
):
    in_the_red(site, "still")
    alert = alert_of(site, "still")
    context = browser.new_context(viewport={"width": PHONE[0], "height": PHONE[1]})
    with looked_at(context, site) as look:
        page = look.page
        page.clock.install()
        sign_in(page, site)
        expect(page.locator("#live")).to_have_text("live")
        page.keyboard.press("j")
        expect(row(page, alert).locator(".t a")).to_be_focused()
        refused = "console: error: Response Status Error Code 503"
        look.excused = ("console: error: Failed to load resource", "console: error: htmx:", refused, "503: ")
        site.at_the_venues(site.daemon.signal, signal.SIGSTOP)
        try:
            page.clock.fast_forward(36_000)
            expect(page.locator("#live")).to_contain_text("not live since")
            expect(page.locator("#live")).to_be_visible()
            look.fits()
            page.clock.fast_forward(11_000)
            expect(page.locator("body[data-away]")).to_have_count(1)
        finally:
            site.at_the_venues(site.daemon.signal, signal.SIGCONT)
        expect(page.locator("body[data-broken]")).to_have_count(0)
        page.route("**/ack", lambda route: route.fulfill(status=503, body="too many at once"))
        page.keyboard.press("a")
        expect(page.locator("#toast")).to_have_text("that didn't work: too many at once")
        page.unroute("**/ack")
        site.at_the_venues(site.daemon.kill)
        expect(page.locator("#live")).to_be_visible()
        page.keyboard.press("a")
        expect(page.locator("#toast")).to_contain_text("Tocsin doesn't answer")
        row(page, alert).get_by_role("button", name="Acknowledge").click()
        expect(page.locator("#toast")).to_contain_text("Tocsin doesn't answer")
        site.do(site.daemon.start)
        site.do(connected, site.daemon, "fx")
        expect(page.locator("body[data-broken]")).to_have_count(0)

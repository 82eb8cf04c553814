"""Where the page shows an alert stands in the messages that tell of it, where people can reach the page and the service has the room."""

import pytest
import yaml
from msgspec import structs

from support.messages import told
from support.stored import delivery
from tocsin.app.changes import stale_channels
from tocsin.app.components import make_style
from tocsin.config.load import load_settings
from tocsin.config.settings import Settings
from tocsin.delivery.edits import for_channel
from tocsin.store.model import ACTION, EDIT, QUESTION, REPORT, Delivery

URLS = {
    "mail": "mailto://user:pass@example.org",
    "hook": "json://127.0.0.1/",
    "sms": "twilio://AC0123456789abcdef0123456789abcdef:token@15551234567/15557654321",
}


def settings(folder, public_url: str | None) -> Settings:
    listen = {"address": "127.0.0.1:8080"} | ({"public_url": public_url} if public_url else {})
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"channels": URLS, "listen": listen, "rules": []}))
    path.chmod(0o600)
    return load_settings(path, environ={}, validate_url=None)


@pytest.mark.parametrize(
    ("public_url", "channel", "page"),
    [
        ("https://example.org/tocsin", "mail", "https://example.org/tocsin/"),
        ("https://example.org/tocsin/", "hook", "https://example.org/tocsin/"),
        ("https://example.org", "mail", "https://example.org/"),
        ("https://example.org", "sms", ""),
        (None, "mail", ""),
    ],
)
def test_who_is_sent_to_the_page(tmp_path, public_url, channel, page):
    there = settings(tmp_path, public_url)
    assert make_style(there, there.channels[channel], 0).page == page


@pytest.mark.parametrize(
    ("told_", "page"),
    [
        *((of, "https://example.org/t/a/4f%2F1") for of in ("firing", "reminder", "resolved", EDIT)),
        *((of, None) for of in ("digest", REPORT, ACTION, QUESTION)),
    ],
)
def test_only_what_tells_of_an_alert_leads_to_it(tmp_path, told_, page):
    there = settings(tmp_path, "https://example.org/t")
    row = delivery("d1", alert="4f/1", state_told=told_)
    carrier = Delivery(**structs.asdict(row), next_at=row.created_at)
    mail = make_style(there, there.channels["mail"], 0)
    assert for_channel(told(), carrier, there.channels["mail"], mail).page == page


def test_another_address_is_in_what_is_told_from_then_on(tmp_path):
    before, after = settings(tmp_path, "https://example.org"), settings(tmp_path, "https://example.com")
    assert set(stale_channels(before, after)) == set(URLS)
    assert stale_channels(before, before) == ()

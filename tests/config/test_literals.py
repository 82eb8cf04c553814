"""What is starred out of the lines that are shown beside problems, and what stays readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.config.literals import hide_doubtful, hide_literals, looks_secret, seems_secret_name


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("secret_key: abc", "secret_key: ***"),
        ('"api-key" : "a b"', '"api-key" : "* *"'),
        ("my_Password:abc # and more", "my_Password:*** * *** ****"),
        ("fx: {token: abc, url: wss://x}", "fx: {token: ***, url: wss://x}"),
        ("fx: {token: 'a, b', type: x}", "fx: {token: '** *', type: x}"),
        ("token: ${cred:fx}", "token: ${cred:fx}"),
        ("token: a${cred:fx}b", "token: *${cred:fx}*"),
        ("token_url: https://x.example.org/u/v1/token", "token_url: https://x.example.org/u/v1/token"),
        ("token: |\n  abc\n  def\nurl: x", "token: *\n  ***\n  ***\nurl: x"),
        ("- token:\n    abc\n  url: x", "- token:\n    ***\n  url: x"),
        ("token: abc\ntoken: def", "token: ***\ntoken: ***"),
        ("url: wss://me:abc@x.example.org/ws?a=b&c=d", "url: wss://******@x.example.org/ws?a=b&c=d"),
        ("url: wss://x/ws?a=hunter2&key=abc&sig=abc#b", "url: wss://x/ws?a=*******&key=***&sig=***#b"),
        ("url: https://x/hooks/T00000000A/b", "url: https://x/hooks/**********/b"),
        ("url: wss://fx7.example.org:8443/hunter2/v1/ws", "url: wss://fx7.example.org:8443/*******/v1/ws"),
        ("tgram://123:abc/5", "tgram://*********"),
        ("[slack://${cred:s}/#desk, x]", "[slack://${cred:s}/#desk, x]"),
        ("slack://x", "slack://x"),
        (
            "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOX/#desk",
            "slack://*********/*********/***************/#desk",
        ),
        (
            "mailtos://me:abc@smtp.example.org:587?to=me@example.org",
            "mailtos://******@smtp.example.org:587?to=me@example.org",
        ),
        ("mailto://me:a/b#c?d@smtp.example.org", "mailto://***************************"),
        ("mailto://me:a/b#c@smtp.example.org", "mailto://********@smtp.example.org"),
        (
            "ntfys://ntfy.example.org:8080/desk?priority=high",
            "ntfys://ntfy.example.org:8080/desk?priority=high",
        ),
        ("json://localhost?+X-Token=abc&-a=abc&:b=abc", "json://localhost?+X-Token=***&-a=***&:b=***"),
        ("pover://${cred:user}@${cred:token}", "pover://${cred:user}@${cred:token}"),
        ("tgram://${cred:a}:${cred:b}/5", "tgram://${cred:a}:${cred:b}/5"),
        ("when: profit < -50", "when: profit < -50"),
        ("title: '{{ symbol }} is down'", "title: '{{ symbol }} is down'"),
    ],
)
def test_what_is_hidden(line, shown):
    assert hide_literals(line) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("red", "red"),
        ("Europe/Prague", "Europe/Prague"),
        ("22:00-07:00", "22:00-07:00"),
        ("20/min", "20/min"),
        ("BTC_USDT", "BTC_USDT"),
        ("rules/*.yaml", "rules/*.yaml"),
        ("${cred:a}/x", "${cred:a}/x"),
        ("slack://x", "slack://x"),
        ("https://x/T0000/abc", "https://x/*****/abc"),
        ("https://x/abc hunter2", "https://x/abc *******"),
        ("hunter2 https://x/abc", "******* https://x/abc"),
        ("hunter2", "*******"),
        ("123456", "******"),
        ("T0000", "*****"),
        ("aBcDeF", "******"),
        ("correct-horse-battery-staple", "*" * 28),
        ("ab-cd-ef-123", "************"),
        ("opensesameopensesame", "*" * 20),
        ("schlüssel", "*********"),
    ],
)
def test_of_what_nobody_knows_what_may_be_a_secret_is_hidden(text, shown):
    assert hide_doubtful(text) == shown


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *((name, True) for name in ("sekret", "pasword", "passfrase", "tokn", "pw", "my_pin", "api key", "apikee", "X-Signature", "auth", "credentals")),
        *((name, False) for name in ("colour", "pol", "fallbak", "url", "symbols", "retention", "fx", "")),
    ],
)  # fmt: skip
def test_which_names_may_be_meant_as_a_secrets(name, secret):
    assert seems_secret_name(name) is secret


TOKENS = st.text("abcdefghijkABCDEFGHIJK0123456789", min_size=8, max_size=40).filter(
    lambda text: any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
)
PLACES = (
    "slack://{0}", "slack://{0}/{0}/#desk", "tgram://123456789:{0}/5", "pover://user@{0}", "json://x/{0}?a=b", "jso://x/?a={0}",
    "mailto://me:{0}@smtp.example.org?to=me@example.org", "mailto://{0}@x", "https://x/y?b={0}", "ntfy://${{cred:a}}{0}/x", "x y {0}", "{0}",
    "slack://x/#{0}", "irc://{0}:6667/#{0}", "json://x:{0}/y",
)  # fmt: skip


@given(TOKENS, st.sampled_from(PLACES))
def test_a_token_is_hidden_wherever_it_stands(token, place):
    text = place.format(token)
    hidden = hide_doubtful(text)
    assert token not in hidden
    assert len(hidden) == len(text)
    if "://" in place and not place.startswith("https"):
        assert token not in hide_literals(text)


@given(st.text(alphabet=":/?&=@{}[]$,'\"# \n-abctokensecret_1", max_size=120))
def test_columns_stay_as_they_are(text):
    hidden = hide_literals(text)
    assert [len(line) for line in hidden.split("\n")] == [len(line) for line in text.split("\n")]


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("json://localhost:8080/hook", False),
        ("mailto://smtp.example.org?to=me@example.org", False),
        ("mailto://me:password@smtp.example.org", True),
        ("mailto://me:${cred:smtp}@smtp.example.org", False),
        ("wss://${cred:user}@x.example.org", False),
        ("tgram://123456789:AAEq5bQ0bXx1Zk9wUy7/5", True),
        ("tgram://${cred:telegram_token}/${cred:telegram_chat}", False),
        ("https://hooks.example.org/T0000000AB", True),
    ],
)
def test_which_urls_seem_to_hold_a_secret(url, secret):
    assert looks_secret(url) is secret

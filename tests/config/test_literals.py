"""What is starred out of the lines that are shown beside problems, and what stays readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.config.literals import hide_literals, looks_secret


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
        ("url: wss://me:abc@x.example.org/ws?a=b&c=d", "url: wss://******@x.example.org/ws?a=*&c=*"),
        ("url: https://x/hooks/T00000000A/b", "url: https://x/hooks/**********/b"),
        ("tgram://123:abc/5", "tgram://*********"),
        ("[slack://${cred:s}/#desk, x]", "[slack://${cred:s}******, x]"),
        ("when: profit < -50", "when: profit < -50"),
        ("title: '{{ symbol }} is down'", "title: '{{ symbol }} is down'"),
    ],
)
def test_what_is_hidden(line, shown):
    assert hide_literals(line) == shown


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

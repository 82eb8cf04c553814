"""Configs that are right: what their settings hold, where secrets come from, what is only warned about."""

import re
import shutil
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.config.load import load_settings
from tocsin.config.search import default_state_dir, find_config
from tocsin.config.settings import Common, Settings
from tocsin.delivery.model import ChannelSettings
from tocsin.errors import ConfigError, Problem
from tocsin.shipped import shipped
from tocsin.venues.registry import venue_types

SECRET = "hunter2-hunter2"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "secrets").mkdir(mode=0o700)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def secret(folder: Path, name: str, text: str, mode: int = 0o600) -> None:
    path = folder / "secrets" / name
    path.write_text(text)
    path.chmod(mode)


def load(text: str, **environ: str) -> Settings:
    path = Path("config.yaml")
    path.write_text(dedent(text))
    path.chmod(0o600)
    return load_settings(path, environ={"HOME": "/home/me", **environ})


WHOLE = """\
    venues:
      px: {type: piexgo, streams: [PINFO], record: true, silent_after: 1m30s}
      fx: {type: yourfintech, url: "tls://fx.example.org:9000", secret_key: "${cred:fx}", max_message_size: 1MiB}
    channels:
      phone: json://localhost/a
      desk: {urls: "json://localhost/b", fallback: phone, rate: 20/min, min_severity: warning}
    defaults: {notify: {critical: [phone, desk], warning: desk}}
    rules:
      - rules/*.yaml
      - {id: inline, watch: order.canceled, notify: [desk]}
    names: {accounts: {0123: main}, symbols: {sec-z-eth-1: ETH}}
    retention: {events: 2w, alerts: 2y, max_size: 512MiB}
    log: {format: json, level: debug}
    store_market_data: changes
    state_dir: state
"""


def test_a_whole_config(folder):
    secret(folder, "fx", f"{SECRET}\n")
    (folder / "rules").mkdir()
    (folder / "rules" / "b.yaml").write_text("rules: [{id: b, watch: order.filled}]")
    (folder / "rules" / "a.yaml").write_text("- {id: a, watch: order.filled, enabled: false}")
    (folder / "rules" / "empty.yaml").write_text("# nothing yet\n")
    found = load(WHOLE)

    assert found.warnings == ()
    assert {name: venue.adapter.name for name, venue in found.venues.items()} == {
        "px": "piexgo",
        "fx": "yourfintech",
    }
    assert found.venues["px"].settings.streams == ("pinfo",)
    assert found.venues["px"].settings.silent_after == timedelta(seconds=90)
    assert found.venues["fx"].settings.secret_key.reveal() == SECRET
    assert found.venues["fx"].settings.max_message_size == 1 << 20
    assert [url.reveal() for url in found.channels["desk"].urls] == ["json://localhost/b"]
    assert found.channels["desk"].fallback == "phone"
    assert found.notify == {"critical": ("phone", "desk"), "warning": ("desk",), "info": None}
    assert [rule.id for rule in found.rules] == ["a", "b", "inline"]
    assert found.names.accounts["0123"] == "main"
    assert found.retention.events == timedelta(weeks=2)
    assert found.retention.alerts == timedelta(days=730)
    assert found.retention.max_size == 512 << 20
    assert (found.log.format, found.log.level, found.store_market_data) == ("json", "debug", "changes")
    assert found.state_dir == folder / "state"
    assert [path.name for path in found.sources] == ["config.yaml", "a.yaml", "b.yaml", "empty.yaml"]


def test_who_is_told(folder):
    secret(folder, "fx", SECRET)
    (folder / "rules").mkdir()
    (folder / "rules" / "a.yaml").write_text("")
    found = load(WHOLE)
    assert found.routing.channels_for("warning") == ("desk",)
    assert found.routing.channels_for("info") == ("phone", "desk")  # nothing said: rather too many than none
    assert found.routing.channels_for("critical", ("desk",)) == ("desk",)
    assert found.routing.channels_for("critical", ()) == ()


def test_an_empty_config_is_allowed_and_said(folder):
    found = load("# nothing\n")
    assert [problem.message for problem in found.warnings] == [
        "no venue is configured: nothing is watched",
        "no channel is configured: nobody is told",
        "no rule is configured: nothing is told",
    ]
    assert found.retention.max_size == 2 << 30
    assert found.routing.channels_for("critical") == ()


FX = 'venues: {fx: {type: yourfintech, url: "wss://fx.example.org", secret_key: "%s"}}\n'


def key_of(found: Settings) -> str:
    return found.venues["fx"].settings.secret_key.reveal()


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("${cred:fx}", SECRET),
        ("${env:FX}", f"{SECRET}-env"),
        ("${file:secrets/fx}", SECRET),
        ("${cred:fx}:${env:FX}", f"{SECRET}:{SECRET}-env"),
        ("a$${cred:fx}", "a${cred:fx}"),
        ("price$5", "price$5"),
    ],
)
def test_what_a_reference_stands_for(folder, written, key):
    secret(folder, "fx", f"{SECRET}\r\n")
    found = load(FX % written, FX=f"{SECRET}-env")
    assert key_of(found) == key
    assert found.masker.mask(f"key={key}!") == "key=***!"


def test_hours_without_a_time_zone_are_in_the_configs(folder):
    found = load("""\
        tz: America/New_York
        calendars:
          day: {open: "09:00-17:00"}
          berlin: {tz: Europe/Berlin, open: "09:00-17:00"}
        rules:
          - {id: named, watch: order.filled, active: day, notify_during: berlin}
          - {id: placed, watch: order.filled, active: {open: "22:00-07:00"}, notify_during: {tz: UTC, open: "09:00-17:00"}}
    """)
    assert [(rule.active.tz, rule.notify_during.tz) for rule in found.rules] == [
        ("America/New_York", "Europe/Berlin"),
        ("America/New_York", "UTC"),
    ]


@pytest.mark.parametrize("zone", ["", "tz: null", "tz: UTC"])
def test_hours_are_in_utc_where_nothing_says_otherwise(folder, zone):
    found = load(f"{zone}\nrules: [{{id: a, watch: order.filled, active: {{open: '09:00-17:00'}}}}]")
    assert found.rules[0].active.tz == "UTC"


@pytest.mark.parametrize("zone", ["Berlin", "5", "[UTC]", "''"])
def test_a_time_zone_that_is_none_is_told_of_once(folder, zone):
    with pytest.raises(ConfigError) as raised:
        load(f"tz: {zone}\ncalendars: {{day: {{open: '09:00-17:00'}}}}")
    assert [problem.path for problem in raised.value.problems if problem.level == "error"] == ["tz"]


def test_systemds_credentials_come_first(folder):
    secret(folder, "fx", "ours-and-old")
    secret(folder, "px", "ours-and-only")
    given = folder / "credentials"
    given.mkdir()
    (given / "fx").write_text(SECRET)
    (given / "fx").chmod(0o440)
    assert key_of(load(FX % "${cred:fx}", CREDENTIALS_DIRECTORY=str(given))) == SECRET
    assert key_of(load(FX % "${cred:px}", CREDENTIALS_DIRECTORY=str(given))) == "ours-and-only"


def test_a_secret_that_others_could_read_behind_a_closed_door_is_fine(folder):
    secret(folder, "fx", SECRET, mode=0o644)
    assert key_of(load(FX % "${cred:fx}")) == SECRET


def test_a_file_that_others_can_read_is_warned_about(folder):
    folder.chmod(0o755)
    (folder / "key").write_text(SECRET)
    (folder / "key").chmod(0o644)
    found = load(
        FX % "${file:key}" + "channels: {d: json://localhost}\nrules: [{id: a, watch: order.filled}]"
    )
    assert [problem.render().splitlines()[0] for problem in found.warnings] == [
        "config.yaml:1:75: warning: others can read key"
    ]


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("json://me:${cred:p}@localhost/x", "json://me:a%40b%2Fc%3F%3A%25d@localhost/x"),
        ("json://${cred:p}@localhost/x", "json://a%40b%2Fc%3F%3A%25d@localhost/x"),
        ("json://localhost/x?-key=${cred:p}", "json://localhost/x?-key=a%40b%2Fc%3F%3A%25d"),
        ("json://localhost/${cred:token}/x", "json://localhost/T1/B2:C3/x"),
        ("${cred:whole}", "json://localhost/T1?a=b"),
    ],
)
def test_secrets_in_urls_are_encoded_where_only_one_meaning_is_possible(folder, written, url):
    secret(folder, "p", "a@b/c?:%d")
    secret(folder, "token", "T1/B2:C3")
    secret(folder, "whole", "json://localhost/T1?a=b")
    found = load(f"channels: {{d: '{written}'}}")
    assert found.channels["d"].urls[0].reveal() == url


def test_literal_secrets_are_masked_everywhere_too(folder):
    found = load(
        """\
        venues:
          fx:
            type: yourfintech
            url: wss://me:hunter2url@fx.example.org/ws?token=hunter2query
            secret_key: hunter2key
            headers: {Authorization: Bearer hunter2header}
        channels:
          hook: json://me:hunter2pass@localhost/hunter2-hunter2-path
        """
    )
    line = "hunter2url hunter2query hunter2key Bearer hunter2header hunter2pass hunter2-hunter2-path"
    assert "hunter2" not in found.masker.mask(line)
    assert "hunter2" not in repr(found)


def test_who_signs_in_with_what_is_never_shown(folder):
    secret(folder, "page_anna", "hunter2-of-anna-and-more")
    found = load(
        """
        people:
          anna: {token: "${cred:page_anna}"}
          ben: {token: hunter2-of-ben-and-much-more}
        listen: {address: "127.0.0.1:8080", metrics: hunter2-of-the-metrics}
        """
    )
    tokens = {name: person.token.reveal() for name, person in found.people.items()}
    assert tokens == {"anna": "hunter2-of-anna-and-more", "ben": "hunter2-of-ben-and-much-more"}
    assert "hunter2" not in found.masker.mask(" ".join([*tokens.values(), "hunter2-of-the-metrics"]))
    assert "hunter2" not in repr(found)


def test_an_environment_variable_in_a_path_is_no_secret(folder):
    found = load("state_dir: ${env:HOME}/tocsin")
    assert found.state_dir == Path("/home/me/tocsin")
    assert found.masker.mask("/home/me") == "/home/me"


def test_a_certificate_is_found_beside_the_config(folder):
    (folder / "ca.pem").write_text("-")
    found = load("venues: {px: {type: piexgo, tls_ca: ca.pem}}")
    assert found.venues["px"].settings.tls_ca == str(folder / "ca.pem")


def test_a_rule_file_is_read_once_however_often_it_is_named(folder):
    (folder / "a.yaml").write_text("- {id: a, watch: order.filled}")
    (folder / "config[1]").mkdir()
    found = load("rules: [a.yaml, '[ab].yaml', ./a.yaml]")
    assert [rule.id for rule in found.rules] == ["a"]


def test_a_folder_with_a_pattern_in_its_name_is_no_pattern(folder):
    odd = folder / "config[1]*"
    odd.mkdir()
    (odd / "r.yaml").write_text("- {id: a, watch: order.filled}")
    (odd / "config.yaml").write_text("rules: ['r*.yaml']")
    assert [rule.id for rule in load_settings(odd / "config.yaml", environ={}).rules] == ["a"]


class TestTheShippedExample:
    def test_is_right_as_it_is(self, folder):
        shutil.copytree(shipped("rules"), folder / "rules")
        found = load(shipped("config.example.yaml").read_text())
        assert [problem.message for problem in found.warnings] == [
            "no venue is configured: nothing is watched",
            "no channel is configured: nobody is told",
        ]
        assert found.rules

    def test_is_right_with_everything_uncommented(self, folder):
        shutil.copytree(shipped("rules"), folder / "rules")
        for name in re.findall(r"\$\{cred:(\w+)\}", shipped("config.example.yaml").read_text()):
            secret(folder, name, SECRETS.get(name, "0123456789abcdef"))
        # Prose has one space behind its #, what can be switched on none or two.
        lines = shipped("config.example.yaml").read_text().splitlines()
        on = [line[1:] if line[:1] == "#" and line[1:3].strip(" ") != line[2:3] else line for line in lines]
        found = load("\n".join(on))
        assert {venue.adapter.name for venue in found.venues.values()} == set(venue_types())
        assert set(found.channels) == {"phone", "group", "desk", "mail"}
        assert found.people["anna"].telegram == 12345678
        assert "bitcoin-below-limit" in {rule.id for rule in found.rules}
        assert found.names.symbols["sec-z-eth-1"] == "ETH"
        assert [problem.render() for problem in found.warnings] == []

    def test_has_each_key_of_the_config_and_of_a_channel_but_older_spellings(self):
        text = shipped("config.example.yaml").read_text()
        keys = {*Common.model_fields, *ChannelSettings.model_fields} - {"send_resolved"}
        assert [
            key for key in keys if not re.search(rf"^(?:#|#    )?{key}:(?: |$)", text, re.MULTILINE)
        ] == []


SECRETS = {
    "telegram_token": "123456789:abcdefghijklmnopqrstuvwxyz012345678", "telegram_chat": "12345678",
    "telegram_group": "-1001234567890", "slack_token": "xoxb-1234-5678-abcdefghijklmnop", "smtp_password": "p@ss/word",
    "prometheus": "0123456789abcdef0123456789abcdef", "page_anna": "fedcba9876543210fedcba9876543210",
}  # fmt: skip


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/tocsin:/var/lib/other", "XDG_STATE_HOME": "/x"}, "/var/lib/tocsin"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/home/me"}, "/x/tocsin"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.local/state/tocsin"),
        ({"HOME": "/home/me"}, "/home/me/.local/state/tocsin"),
    ],
)
def test_where_the_state_is(environ, expected):
    assert default_state_dir(environ) == Path(expected)


def test_where_the_config_is_looked_for(folder):
    xdg = folder / "xdg"
    environ = {"XDG_CONFIG_HOME": str(xdg)}
    with pytest.raises(
        ConfigError, match=r"no config found \(looked for config.yaml, .*/xdg/tocsin/config.yaml, /etc"
    ):
        find_config(None, environ)
    (xdg / "tocsin").mkdir(parents=True)
    (xdg / "tocsin" / "config.yaml").write_text("")
    assert find_config(None, environ) == xdg / "tocsin" / "config.yaml"
    Path("config.yaml").write_text("")
    assert find_config(None, environ) == Path("config.yaml")
    assert find_config(xdg / "tocsin" / "config.yaml", environ) == xdg / "tocsin" / "config.yaml"
    with pytest.raises(ConfigError, match=r"there is no file other\.yaml"):
        find_config(Path("other.yaml"), environ)
    Path("a1.yaml").touch()
    Path("a2.yaml").touch()
    with pytest.raises(
        ConfigError, match=r"a config is one file, and no pattern; these match: a1.yaml, a2.yaml"
    ):
        find_config(Path("a*.yaml"), environ)
    with pytest.raises(ConfigError, match=r"there is no file b\[1\].*\n.* nothing matches it"):
        find_config(Path("b[1].yaml"), environ)


KEYS = st.sampled_from(
    ["venues", "channels", "rules", "defaults", "names", "retention", "log", "state_dir", "store_market_data", "type",
     "url", "urls", "fallback", "notify", "critical", "accounts", "events", "px", "streams", "headers", "id", "watch",
     "when", "secret_key", "tls_ca", "plaintext", "rate"]
)  # fmt: skip
VALUES = st.sampled_from(
    ["piexgo", "yourfintech", "5", "-1e5", "true", "null", "json://localhost", "${cred:x}", "${", "order.filled", "px",
     "'*'", "wss://x", "1e99", "''", "rules/*.yaml", "{", "'\\x00'", '"\\x00"', '"\\ud800"', "~/x", "/", "."]
)  # fmt: skip
TREES = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.dictionaries(KEYS, inner, max_size=4).map(
            lambda d: "{" + ", ".join(f"{k}: {v}" for k, v in d.items()) + "}"
        ),
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_any_config_gives_settings_or_problems(folder, tree):
    (folder / "config.yaml").write_text(tree)
    problems: tuple[Problem, ...] = ()
    try:
        load_settings(folder / "config.yaml", environ={}, validate_url=None)
    except ConfigError as error:
        problems = error.problems
    assert all(problem.render() for problem in problems)


def test_a_home_of_nobody_and_a_name_too_long_are_problems(tmp_path):
    (tmp_path / "config.yaml").write_text(f"state_dir: ~nobody-here/x\nrules: [{'n' * 300}.yaml]\n")
    with pytest.raises(ConfigError) as raised:
        load_settings(tmp_path / "config.yaml")
    assert [problem.message for problem in raised.value.problems if problem.level == "error"] == [
        "no such user's home",
        "no such file",
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b'"' + SECRET.encode() + b'"\n', "stands in quotes"),
        (b"'" + SECRET.encode() + b"'", "stands in quotes"),
        (b"  " + SECRET.encode() + b" \n", "begins or ends with a space"),
        (SECRET.encode() + "\u200b".encode(), "holds an invisible character"),
        (b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n", None),
        (SECRET.encode() + b"\n", None),
        (b'pass "word" of two', None),
    ],
)
def test_what_editors_and_copying_add_to_a_secret_is_named(folder, written, said):
    """crazy-max/diun 616, appdevforall/CodeOnTheGo 1079; what Notepad saves begins with a byte order mark."""
    secret(folder, "hook", "")
    (folder / "secrets" / "hook").write_bytes(written)
    settings = load(
        "channels: {a: 'json://user:${cred:hook}@localhost', b: 'json://localhost/?x=${cred:hook}'}"
    )
    told = [each.message for each in settings.warnings if "secret" in each.message]
    assert len(told) == bool(said)
    assert all(said in each and SECRET not in each for each in told)
    if written.startswith(b"\xef"):
        assert settings.channels["a"].urls[0].reveal() == f"json://user:{SECRET}@localhost"


@pytest.mark.parametrize(
    ("rules", "notify", "told"),
    [
        ("severity: info", "", ["rule r reaches nobody: severity info, and desk takes warning and above only"]),
        ("severity: warning", "", []),
        ("severity: info, notify: [desk, phone]", "", []),
        ("severity: warning, notify: [boss, desk]", "", []),
        (
            "severity: warning, notify: [boss]", "",
            ["rule r reaches nobody: severity warning, and boss takes critical and above only"],
        ),
        ("severity: info", "defaults: {notify: {info: [phone]}}", []),
        (
            "severity: warning", "defaults: {notify: {warning: [boss]}}",
            ["rule r reaches nobody: severity warning, and boss takes critical and above only"],
        ),
        ("severity: info, enabled: false", "", []),
        ("severity: info, notify: []", "", []),
    ],
)  # fmt: skip
def test_an_alert_that_reaches_nobody_is_told_of(folder, rules, notify, told):
    settings = load(f"""\
        channels:
          desk: {{urls: "json://localhost/b", min_severity: warning}}
          boss: {{urls: "json://localhost/c", min_severity: critical}}
          phone: json://localhost/a
        {notify or "defaults: {notify: [desk]}"}
        rules: [{{id: r, watch: order.canceled, {rules}}}]
    """)
    assert [each.message for each in settings.warnings if "reaches nobody" in each.message] == told


def test_rules_that_reach_nobody_for_the_same_reason_are_told_of_together(folder):
    rules = ", ".join(f"{{id: r{n}, watch: order.canceled, severity: info}}" for n in range(7))
    settings = load(f"""\
        channels: {{desk: {{urls: "json://localhost/b", min_severity: warning}}}}
        rules: [{rules}]
    """)
    (told,) = [each.message for each in settings.warnings if "nobody" in each.message]
    assert told.startswith("7 rules reach nobody: severity info")
    assert told.endswith("(r0, r1, r2, r3, r4, …)")


def test_an_option_that_only_apprise_has_is_warned_of(folder):
    url = "tgram://123456789:abcdefg_hijklmnop/5?mdv=v2"
    (folder / "config.yaml").write_text(f"venues: {{}}\nchannels: {{phone: '{url}'}}\nrules: []\n")
    (warning,) = [
        each
        for each in load_settings(folder / "config.yaml", environ={}, validate_url=None).warnings
        if each.path == "channels.phone" and "Apprise" in each.message
    ]
    assert "because of mdv=" in warning.message
    assert warning.level == "warning"

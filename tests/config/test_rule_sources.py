"""Where each rule is written, and its lines as they were read."""

import pytest

from tocsin.config.load import load_settings

RULES = """\
# What hurts.
- id: red   # as it was
  watch: position
  when: {profit: {below: -50}}

  # about the message
  message: |
    one

    # no comment
- id: second
  watch: position
  when: profit < -5
  # within it still

# above the third
-
  id: third
  watch: position
  when: {profit: {below: -7},
    symbol: BTCUSD}
"""
IN_PLACE = """\
rules:
  - rules.yaml
  - id: own
    watch: account
    when: equity < 5
    title: "see https://u:p4ssw0rd@x.example, ${cred:x}"
channels: {}
"""
BRACKETS = """\
[
  {"id": "json",
    "watch": "position",
    "when": "profit < 1"
  },
  {"id": "more", "watch": "position", "when": "profit < 2"}
]
"""
WRITTEN = {
    "red": (2, 9, "    # no comment"),
    "second": (11, 4, "  # within it still"),
    "third": (17, 5, "    symbol: BTCUSD}"),
    "own": (3, 4, '    title: "see https://**********@x.example, ${cred:x}"'),
    "json": (2, 4, "  },"),
    "more": (6, 1, '  {"id": "more", "watch": "position", "when": "profit < 2"}'),
}


@pytest.fixture(params=["\n", "\r\n"])
def settings(request, tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text, newline=request.param)

    write("rules.yaml", RULES)
    write("brackets.yaml", BRACKETS)
    write(
        "config.yaml",
        IN_PLACE.replace("- rules.yaml", "- rules.yaml\n  - brackets.yaml", 1).replace("channels: {}", ""),
    )
    return load_settings(tmp_path / "config.yaml", environ={}, validate_url=None)


def test_each_rule_has_its_lines(settings):
    found = {
        id_: (each.line, len(each.shown), each.shown[-1].rstrip())
        for id_, each in settings.rule_sources.items()
    }
    expected = {**WRITTEN, "own": (4, *WRITTEN["own"][1:])}  # the second file is named above it
    assert found == expected
    assert [rule.id for rule in settings.rules] == ["red", "second", "third", "json", "more", "own"]


def test_whether_the_file_still_has_it(settings):
    source = settings.rule_sources["second"]
    assert source.is_as_written()
    text = source.path.read_bytes()
    source.path.write_bytes(b"# a new line\n" + text)
    assert source.is_as_written()
    source.path.write_bytes(text.replace(b"profit < -5", b"profit < -6"))
    assert not source.is_as_written()
    source.path.unlink()
    assert not source.is_as_written()

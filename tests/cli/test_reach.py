"""`tocsin check` by root sees the service's files as the service does."""

import os

import pytest

from tocsin.cli import reach
from tocsin.config.load import load_settings

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root asks for another user"),
]


@pytest.fixture
def etc(tmp_path, monkeypatch):
    """The service's configuration, of which `nobody` is the service's user."""
    monkeypatch.setattr(reach, "SERVICE_USER", "nobody")
    monkeypatch.setattr(reach, "SERVICE_CONFIG", tmp_path)
    for folder in (tmp_path, *tmp_path.parents):  # pytest's folders are their owner's alone
        if folder.is_relative_to("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "config.yaml").write_text("rules: [rules/*.yaml]\n")
    (tmp_path / "rules").mkdir(mode=0o755)
    for name in ("orders", "stops"):
        (tmp_path / "rules" / f"{name}.yaml").write_text(f"- {{id: {name}, watch: order.canceled}}\n")
    return tmp_path


def said(etc):
    settings = load_settings(etc / "config.yaml", environ={}, validate_url=None)
    return [problem.message for problem in reach.out_of_the_services_reach(settings)]


def test_what_it_can_read_is_well(etc):
    assert said(etc) == []


def test_a_file_of_roots_own_is_named(etc):
    (etc / "rules" / "stops.yaml").chmod(0o600)
    assert said(etc) == [f"the service can't read {etc}/rules/stops.yaml"]


def test_a_folder_on_the_way_counts(etc):
    (etc / "rules").chmod(0o700)
    assert len(said(etc)) == 2


def test_what_leads_to_a_home_is_hidden_from_it(etc, monkeypatch):
    monkeypatch.setattr(reach, "_HOMES", (etc / "home",))
    (etc / "home").mkdir()
    (etc / "rules" / "stops.yaml").rename(etc / "home" / "stops.yaml")
    (etc / "rules" / "stops.yaml").symlink_to(etc / "home" / "stops.yaml")
    assert said(etc) == [f"the service can't read {etc}/rules/stops.yaml, which leads to a home"]


def test_any_other_configuration_is_its_users_own(etc, monkeypatch):
    monkeypatch.setattr(reach, "SERVICE_CONFIG", etc / "elsewhere")
    (etc / "rules" / "stops.yaml").chmod(0o600)
    assert said(etc) == []

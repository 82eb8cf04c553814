"""Where a command finds the state of a daemon that doesn't run."""

import pytest

from tocsin.cli import ask


@pytest.fixture
def service(tmp_path, monkeypatch):
    """A service as systemd/install makes it, somewhere else."""
    config, state = tmp_path / "etc", tmp_path / "var"
    config.mkdir()
    (config / "config.yaml").write_text("venues: {}\n")
    monkeypatch.setattr(ask, "SERVICE_CONFIG", config)
    monkeypatch.setattr(ask, "SERVICE_STATE", state)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    return tmp_path


def test_a_stopped_services_state_is_where_systemd_keeps_it(service):
    assert ask.state_dir_of(service / "etc" / "config.yaml") == service / "var"


def test_a_state_that_the_config_names_is_that_one(service):
    (service / "etc" / "config.yaml").write_text("state_dir: here\n")
    assert ask.state_dir_of(service / "etc" / "config.yaml") == service / "etc" / "here"


def test_within_the_service_it_is_what_systemd_says(service, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(service / "given"))
    assert ask.state_dir_of(service / "etc" / "config.yaml") == service / "given"


def test_any_other_configs_is_the_users_own(service):
    (service / "config.yaml").write_text("venues: {}\n")
    assert ask.state_dir_of(service / "config.yaml") == service / "home" / "tocsin"

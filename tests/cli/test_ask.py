"""Where a command finds the state of a daemon that doesn't run."""

import pytest
from click.testing import CliRunner

from tocsin.cli import ask, cli
from tocsin.errors import ConfigError


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


def test_a_state_by_reference_is_where_the_daemon_has_it(service, monkeypatch):
    monkeypatch.setenv("PLACE", str(service / "place"))
    (service / "config.yaml").write_text(
        "state_dir: ${env:PLACE}/tocsin\nvenues: {fx: {secret_key: '${cred:none}'}}\n"
    )
    assert ask.state_dir_of(service / "config.yaml") == service / "place" / "tocsin"


@pytest.mark.parametrize("written", ["~nobody-here/x", "${env:NOT_SET}/x"])
def test_a_state_that_can_be_nowhere_is_a_problem(service, written):
    (service / "config.yaml").write_text(f"state_dir: {written}\n")
    with pytest.raises(ConfigError, match=r"config.yaml:1:\d+: error: "):
        ask.state_dir_of(service / "config.yaml")


def test_within_the_service_it_is_what_systemd_says(service, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(service / "given"))
    assert ask.state_dir_of(service / "etc" / "config.yaml") == service / "given"


def test_any_other_configs_is_the_users_own(service):
    (service / "config.yaml").write_text("venues: {}\n")
    assert ask.state_dir_of(service / "config.yaml") == service / "home" / "tocsin"


@pytest.mark.parametrize(
    ("written", "worked", "hinted"),
    [("state_dir: new\n", False, True), ("state_dir: new\n", True, False), ("venues: {}\n", False, False)],
)
def test_a_state_dir_that_was_edited_under_the_daemon_is_said_to_be_that(
    service, monkeypatch, written, worked, hinted
):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    (service / "config.yaml").write_text(written)
    if worked:
        (service / "new").mkdir()
        (service / "new" / "tocsin.db").touch()
    for command in ("reload", "status"):
        result = CliRunner().invoke(cli, ["--config", str(service / "config.yaml"), command])
        assert result.exit_code == 1
        assert "no Tocsin daemon is running here" in result.output
        assert (f"no daemon has worked in {service}/new yet" in result.output) is hinted
        assert ("write the old one back" in result.output) is hinted


def test_a_slip_elsewhere_in_the_config_hides_no_state(service):
    config = service / "config.yaml"
    config.write_text('channels: {a: "x}\nstate_dir: here\ntz: Europe/Prague\n')
    assert ask.state_dir_of(config) == service / "here"
    assert str(ask.zone_of(config)) == "Europe/Prague"
    config.write_text('channels: {}\nstate_dir: "here\n')
    with pytest.raises(ConfigError, match="never closed"):
        ask.state_dir_of(config)


@pytest.mark.parametrize(
    "call", [["ack", "01a2"], ["silence", "venue=fx", "--for", "1h"], ["unsilence", "01a2"], ["forget", "fx", "order", "1"], ["reload"], ["status"]]
)  # fmt: skip
def test_where_no_daemon_runs_what_needs_one_says_how_to_start_it(service, call, monkeypatch):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    for config, remedy in (
        (service / "config.yaml", f"= start one: tocsin run --config {service}/config.yaml"),
        (service / "etc" / "config.yaml", "= start it: sudo systemctl start tocsin"),
    ):
        config.write_text("venues: {}\n")
        result = CliRunner().invoke(cli, ["--config", str(config), *call])
        assert result.exit_code == 1
        assert remedy in result.stderr


@pytest.mark.parametrize("command", ["ack", "unsilence"])
@pytest.mark.parametrize("wrong", ["", " ", "…", "..", "a/b", "../x"])
def test_what_can_be_no_id_is_wrong_usage(service, command, wrong):
    result = CliRunner().invoke(cli, [command, wrong])
    assert (result.exit_code, "Invalid value for ID: the" in result.stderr) == (2, True)

"""Rules of a config at work, without disk but for that config and a small database: what the screens of rules are made of."""

from datetime import datetime
from pathlib import Path
from typing import Any

from support.looked import asked, at_once
from support.snapshots import World
from support.stored import alert, commit, opened
from tocsin.app.components import make_options
from tocsin.app.rule_views import RuleViews
from tocsin.config.load import load_settings
from tocsin.page.screen import Asked

CONFIG = """\
tz: Europe/Prague
channels:
  phone: json://localhost/phone
  desk: {urls: ["json://localhost/desk"], min_severity: warning}
defaults: {notify: {critical: [phone, desk], warning: [desk], info: [phone]}}
calendars: {never-now: {open: ["sat 03:00-03:01"]}}
names: {accounts: {a1: Main}}
rules:
  - rules.yaml
"""
RULES = """\
- id: red
  watch: position
  when: {profit: {below: -50}}
  until: {profit: {above: -40}}
  for: 10s
  notify: [phone, desk]
  escalate: [{after: 10m, notify: [phone]}]
  title: "{{ symbol }} is in the red"   # ${cred:no_secret}
- id: deep
  watch: position
  when: profit < -500
  severity: critical
  inhibited_by: [red]
- id: account-sum
  watch: position
  per: account
  when: sum(profit) < -1000
- id: filled
  watch: order.filled
  severity: info
  cooldown: 15m
- id: none-filled
  watch: order.filled
  absent: 24h
- id: round-trip
  watch: order.filled
  then: {watch: order.canceled, within: 5m}
- id: crossed
  watch: ticker
  when: crosses_above(price, 100)
- id: at-night
  watch: position
  when: profit < -1
  active: never-now
- id: switched-off
  watch: position
  when: profit < -2
  enabled: false
"""


class RuledWorld(World):
    """The config's rules run, and the venue `fx` is connected; the database in `folder` has what is `stored`."""

    def __init__(self, folder: Path, rules: str = RULES, config: str = CONFIG) -> None:
        (folder / "rules.yaml").write_text(rules)
        (folder / "config.yaml").write_text(config)
        self.folder = folder
        self.settings = load_settings(folder / "config.yaml", environ={}, validate_url=None)
        self.quiet: dict[str, str] = {}  # by channel, what holds messages there
        super().__init__()
        self.runtime.turn.reload(self.settings.rules, make_options(self.settings), self.clock.now())
        self.seen = RuleViews(self.parts(), self.snapshots.snapshot)
        self.stored()

    def parts(self) -> Any:
        parts = super().parts()
        parts.settings = self.settings
        parts.holds = lambda channel, _told, _severity: self.quiet.get(channel, "")
        return parts

    def stored(self, *alerts: dict[str, Any]) -> None:
        """These alerts, each at least with an `id_` and `fired_at`, are put into the database."""
        store = opened(self.folder, now=self.clock.now().wall)
        commit(
            store, when=self.clock.now().wall, alerts=[alert(**{"rule": "red", **each}) for each in alerts]
        )
        store.close()

    def asked(self, rule: str = "", **query: str) -> Asked:
        return asked(self.folder, self.look(), path={"id": rule}, query=query, rules_seen=self.seen)._replace(
            in_thread=at_once
        )

    @property
    def now(self) -> datetime:
        return self.clock.now().wall

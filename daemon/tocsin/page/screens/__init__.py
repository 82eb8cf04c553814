"""The screens, in the order of the navigation."""

from tocsin.page.screen import Screen
from tocsin.page.screens.alert import ALERT
from tocsin.page.screens.alerts import ALERTS
from tocsin.page.screens.delivery import DELIVERY
from tocsin.page.screens.health import HEALTH
from tocsin.page.screens.help import HELP, TOPIC
from tocsin.page.screens.overview import OVERVIEW
from tocsin.page.screens.rule import RULE
from tocsin.page.screens.rules import RULES
from tocsin.page.screens.silences import SILENCES

SCREENS: tuple[Screen, ...] = (OVERVIEW, ALERTS, ALERT, RULES, RULE, DELIVERY, SILENCES, HEALTH, HELP, TOPIC)

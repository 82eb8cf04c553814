"""The screens, in the order of the navigation."""

from tocsin.page.screen import Screen
from tocsin.page.screens.help import HELP, TOPIC
from tocsin.page.screens.overview import OVERVIEW
from tocsin.page.screens.silences import SILENCES

SCREENS: tuple[Screen, ...] = (OVERVIEW, SILENCES, HELP, TOPIC)

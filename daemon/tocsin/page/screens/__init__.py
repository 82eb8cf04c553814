"""The screens, in the order of the navigation."""

from tocsin.page.screen import Screen
from tocsin.page.screens.help import HELP, TOPIC
from tocsin.page.screens.overview import OVERVIEW

SCREENS: tuple[Screen, ...] = (OVERVIEW, HELP, TOPIC)

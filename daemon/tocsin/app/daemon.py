"""The daemon: what it is made of and who does what, in one nursery.

    pipeline                  the one task that changes entities, rules and alerts
    venue NAME                one per venue, started, stopped and restarted apart from all others
    channel NAME/N            one per URL of a channel
    control, housekeeping     the API on the socket; retention and checkpoints
    heart                     real progress, told to systemd's watchdog
"""

import os
import uuid
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import trio

from tocsin import __version__
from tocsin.alerts.decide import Route, Routing
from tocsin.alerts.message import Names
from tocsin.app.sdnotify import SystemdNotifier
from tocsin.app.supervise import supervise
from tocsin.clock import Clock
from tocsin.config import ChannelConfig, Settings, VenueConfig
from tocsin.delivery.outbox import Channel, run_channel
from tocsin.engine.engine import Engine
from tocsin.entities import Entities
from tocsin.events import Daemon as DaemonState
from tocsin.events import Occurrence
from tocsin.feed import CredentialStore, VenueFeed, run_venue
from tocsin.feed.model import Received
from tocsin.pipeline import Inbox, Options, Pipeline, Targets, Turn
from tocsin.store.database import Database
from tocsin.store.model import Batch

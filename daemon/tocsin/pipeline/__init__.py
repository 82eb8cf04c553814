"""The life of an event, from what a venue said to what is committed for the outbox. See `pipeline.py`."""

from tocsin.pipeline.inbox import Inbox
from tocsin.pipeline.options import Options, Targets
from tocsin.pipeline.pipeline import Pipeline
from tocsin.pipeline.runtime import Runtime
from tocsin.pipeline.turn_processor import TurnProcessor

__all__ = ["Inbox", "Options", "Pipeline", "Runtime", "Targets", "TurnProcessor"]

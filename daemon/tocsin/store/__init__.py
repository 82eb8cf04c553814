"""What must outlive the process, in SQLite: entities, rule instances, alerts, the outbox, and the record of events."""

from tocsin.store.database import Database, RunSync, in_thread, inline
from tocsin.store.errors import SchemaRefused, StateInUse, StoreUnavailable
from tocsin.store.reader import Reader
from tocsin.store.retention import Pruned, Retention
from tocsin.store.store import DATABASE, Store

__all__ = [
    "DATABASE",
    "Database",
    "Pruned",
    "Reader",
    "Retention",
    "RunSync",
    "SchemaRefused",
    "StateInUse",
    "Store",
    "StoreUnavailable",
    "in_thread",
    "inline",
]

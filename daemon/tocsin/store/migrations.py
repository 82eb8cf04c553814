"""From whatever a database holds to what this version needs, step by step; each step once, whole or not at all."""

from functools import cache
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from tocsin.store import schema
from tocsin.store.errors import SchemaRefused

_steps = Migrations("tocsin")


@_steps(name="0001_tables")
def _tables(db: Database) -> None:
    # Statement by statement: executescript would commit what came before it.
    for statement in schema.TABLES:
        db.execute(statement)


@_steps(name="0002_history_views")
def _history_views(db: Database) -> None:
    db.create_view("alert_history", schema.ALERT_HISTORY)
    db.create_view("delivery_history", schema.DELIVERY_HISTORY)


@_steps(name="0003_samples")
def _samples(db: Database) -> None:
    # Nothing was ever written to the table that stood here before.
    for statement in schema.SAMPLES:
        db.execute(statement)


@_steps(name="0004_held")
def _held(db: Database) -> None:
    db.execute(schema.HELD)


@_steps(name="0005_deliveries_dead")
def _deliveries_dead(db: Database) -> None:
    db.execute(schema.DELIVERIES_DEAD)


@_steps(name="0006_entities_sent")
def _entities_sent(db: Database) -> None:
    db.execute(schema.ENTITIES_SENT)


@_steps(name="0007_deliveries_handed_to")
def _deliveries_handed_to(db: Database) -> None:
    for statement in schema.DELIVERIES_HANDED_TO:
        db.execute(statement)
    db.create_view("delivery_history", schema.DELIVERY_HISTORY_HANDED_TO)


@cache
def _known() -> frozenset[str]:
    with Database(memory=True, execute_plugins=False) as nothing:
        return frozenset(step.name for step in _steps.pending(nothing))


def refuse_foreign(db: Database, path: Path) -> None:
    """Raises SchemaRefused for a newer Tocsin's database, or one that was never Tocsin's; writes nothing."""
    applied = {step.name for step in _steps.applied(db)}
    if unknown := sorted(applied - _known()):
        raise SchemaRefused(
            f"{path} was written by a newer Tocsin ({unknown[-1]}); install that version again, or use another state_dir"
        )
    if not applied and db.table_names():
        raise SchemaRefused(f"{path} is a database, but not Tocsin's; use another state_dir")


def refuse_older(db: Database, path: Path) -> None:
    """Raises SchemaRefused for a database that no daemon of this version has opened yet; writes nothing."""
    if _steps.pending(db):
        raise SchemaRefused(
            f"{path} was written by an older Tocsin; start the daemon once to bring it up to date"
        )


def migrate(db: Database, *, stop_before: str | None = None) -> None:
    """Applies the steps that are missing, each in a transaction of its own."""
    _steps.apply(db, stop_before=stop_before)

"""From whatever a database holds to what this version needs, step by step; each step once, whole or not at all."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from tocsin.store import schema
from tocsin.store.errors import Damaged, SchemaRefused

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


@_steps(name="0008_entities_last_seen")
def _entities_last_seen(db: Database) -> None:
    db.execute(schema.ENTITIES_LAST_SEEN)


@_steps(name="0009_recency")
def _recency(db: Database) -> None:
    db.execute(schema.ENTITIES_STAMPS)
    for statement in schema.OPERATIONS:
        db.execute(statement)


@_steps(name="0010_unconfirmed")
def _unconfirmed(db: Database) -> None:
    db.execute(schema.ENTITIES_UNCONFIRMED)


@_steps(name="0011_deliveries_words")
def _deliveries_words(db: Database) -> None:
    for statement in schema.DELIVERIES_WORDS:
        db.execute(statement)
    db.create_view("alert_history", schema.ALERT_HISTORY_WORDS)
    db.create_view("delivery_history", schema.DELIVERY_HISTORY_WORDS)


@_steps(name="0012_acts")
def _acts(db: Database) -> None:
    for statement in schema.ACTS:
        db.execute(statement)


@_steps(name="0013_deliveries_handle")
def _deliveries_handle(db: Database) -> None:
    db.execute(schema.DELIVERIES_HANDLE)


@_steps(name="0014_buttons")
def _buttons(db: Database) -> None:
    for statement in schema.BUTTONS:
        db.execute(statement)


@_steps(name="0015_deliveries_digest")
def _deliveries_digest(db: Database) -> None:
    for statement in schema.DELIVERIES_DIGEST:
        db.execute(statement)
    db.create_view("delivery_history", schema.DELIVERY_HISTORY_DIGEST)


@_steps(name="0016_actions_run")
def _actions_run(db: Database) -> None:
    for statement in schema.ACTIONS_RUN:
        db.execute(statement)


@_steps(name="0017_actions_confirm")
def _actions_confirm(db: Database) -> None:
    for statement in schema.ACTIONS_CONFIRM:
        db.execute(statement)


@_steps(name="0018_sessions")
def _sessions(db: Database) -> None:
    for statement in schema.SESSIONS:
        db.execute(statement)


@_steps(name="0019_trails")
def _trails(db: Database) -> None:
    for statement in schema.TRAILS:
        db.execute(statement)


@_steps(name="0020_alerts_entity")
def _alerts_entity(db: Database) -> None:
    db.execute(schema.ALERTS_ENTITY)


@cache
def all_steps() -> tuple[str, ...]:
    """The names of all steps, in order."""
    with Database(memory=True, execute_plugins=False) as nothing:
        return tuple(step.name for step in _steps.pending(nothing))


def pending_steps(db: Database) -> tuple[str, ...]:
    """The names of the steps that are still to be applied, in order; all of them to an empty database."""
    return tuple(step.name for step in _steps.pending(db))


def how_made(db: Database) -> object:
    """All that `refuse_foreign` and `refuse_older` go by, to be compared: whatever file it is, of which inode and age, and also where another
    was written over it.
    """
    made = db.execute("SELECT name, tbl_name, sql FROM sqlite_schema ORDER BY rowid").fetchall()
    if not any(name == _steps.migrations_table for name, *_ in made):
        return made, ()
    return made, db.execute(f"SELECT * FROM {_steps.migrations_table}").fetchall()  # noqa: S608 - a name of the library's


def refuse_foreign(db: Database, path: Path) -> None:
    """Raises SchemaRefused for a newer Tocsin's database, or one that was never Tocsin's; writes nothing.

    Raises Damaged for one that is ours, but isn't as any version makes it.
    """
    steps, applied = all_steps(), {step.name for step in _steps.applied(db)}
    if applied >= set(steps):
        if unknown := sorted(applied - set(steps)):
            raise SchemaRefused(
                f"{path} was written by a newer Tocsin ({unknown[-1]}); install that version again, or use another state_dir"
            )
    elif applied != set(steps[: len(applied)]):
        raise Damaged(f"{path} doesn't say by which version it was written")
    if applied:
        _refuse_torn(db, path, steps[: len(applied)])
    elif tables := set(db.table_names()) - {_steps.migrations_table}:
        if tables >= {"alerts", "deliveries", "entities"}:
            raise Damaged(f"{path} doesn't say by which version it was written")
        raise SchemaRefused(f"{path} is a database, but not Tocsin's; use another state_dir")


def _refuse_torn(db: Database, path: Path, applied: tuple[str, ...]) -> None:
    """Raises Damaged where a table of ours hasn't the columns that these steps gave it."""
    for table, columns in _columns(applied).items():
        if tuple(db.execute(f"PRAGMA table_info({table})").fetchall()) != columns:
            raise Damaged(f"table {table} of {path} isn't as it was made")


@cache
def _columns(applied: tuple[str, ...]) -> dict[str, tuple[tuple[object, ...], ...]]:
    """Of each table and view its columns, as SQLite tells of them."""
    with Database(memory=True, execute_plugins=False) as made:
        migrate_to(made, applied)
        names = [name for name in (*made.table_names(), *made.view_names()) if not name.startswith("_")]
        return {name: tuple(made.execute(f"PRAGMA table_info({name})").fetchall()) for name in names}


def refuse_older(db: Database, path: Path) -> None:
    """Raises SchemaRefused for a database that no daemon of this version has opened yet; writes nothing."""
    if _steps.pending(db):
        raise SchemaRefused(
            f"{path} was written by an older Tocsin; start the daemon once to bring it up to date"
        )


def migrate(db: Database, *, stop_before: str | None = None) -> None:
    """Applies the steps that are missing, each in a transaction of its own."""
    _steps.apply(db, stop_before=stop_before)


def migrate_to(db: Database, steps: Sequence[str]) -> None:
    """Makes of an empty database what these steps, the first of all, make of it."""
    left = all_steps()[len(steps) :]
    migrate(db, stop_before=left[0] if left else None)

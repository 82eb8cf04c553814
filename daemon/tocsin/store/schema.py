"""The tables and views, as SQL. What stands here has been released: changes come as further migrations.

Times are ISO 8601 UTC text with microseconds, numbers from the wire are text digit for digit, `data` is JSON.
"""

TABLES = (
    """
    CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT
    """,
    # The latest state of everything that a venue told of. `account` is '' where the venue names none.
    """
    CREATE TABLE entities (
        venue TEXT NOT NULL,
        kind TEXT NOT NULL,
        account TEXT NOT NULL,
        id TEXT NOT NULL,
        symbol TEXT,
        ended INTEGER NOT NULL,
        origin TEXT NOT NULL,
        events TEXT NOT NULL,
        known_since TEXT NOT NULL,
        time TEXT NOT NULL,
        received_at TEXT NOT NULL,
        data TEXT NOT NULL,
        PRIMARY KEY (venue, kind, account, id)
    ) STRICT
    """,
    "CREATE INDEX entities_ended ON entities (received_at) WHERE ended = 1",
    # What happened. `data` holds the entity's fields and, under `raw`, the text of the venue's message.
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY,
        received_at TEXT NOT NULL,
        time TEXT NOT NULL,
        venue TEXT NOT NULL,
        event TEXT NOT NULL,
        account TEXT,
        entity TEXT NOT NULL,
        symbol TEXT,
        origin TEXT NOT NULL,
        data TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX events_received_at ON events (received_at)",
    "CREATE INDEX events_event ON events (event, received_at)",
    "CREATE INDEX events_entity ON events (entity)",
    # The state of each rule for each entity, as the engine keeps it.
    """
    CREATE TABLE instances (
        rule TEXT NOT NULL,
        instance TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        data TEXT NOT NULL,
        PRIMARY KEY (rule, instance)
    ) STRICT
    """,
    """
    CREATE TABLE alerts (
        id TEXT PRIMARY KEY,
        rule TEXT NOT NULL,
        instance TEXT NOT NULL,
        venue TEXT NOT NULL,
        account TEXT,
        entity TEXT NOT NULL,
        symbol TEXT,
        state TEXT NOT NULL,
        severity TEXT NOT NULL,
        started_at TEXT NOT NULL,
        fired_at TEXT NOT NULL,
        resolved_at TEXT,
        acked_at TEXT,
        title TEXT NOT NULL,
        body TEXT NOT NULL,
        data TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX alerts_fired_at ON alerts (fired_at)",
    "CREATE INDEX alerts_rule ON alerts (rule, fired_at)",
    "CREATE INDEX alerts_active ON alerts (venue, entity) WHERE state IN ('firing', 'recovering')",
    # The outbox. `sequence` is the order in which notifications were caused, whatever the clock said. The reference is
    # for tools that show links; it isn't enforced, for not every notification is about an alert.
    """
    CREATE TABLE deliveries (
        sequence INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        alert TEXT NOT NULL REFERENCES alerts (id),
        state_told TEXT NOT NULL,
        channel TEXT NOT NULL,
        target INTEGER NOT NULL,
        severity TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('pending', 'sent', 'dead', 'superseded')),
        attempts INTEGER NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        next_at TEXT NOT NULL,
        sent_at TEXT,
        error TEXT,
        context TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX deliveries_due ON deliveries (channel, target, next_at) WHERE status = 'pending'",
    "CREATE INDEX deliveries_order ON deliveries (alert, channel, target, sequence) WHERE status = 'pending'",
    "CREATE INDEX deliveries_alert ON deliveries (alert)",
    "CREATE INDEX deliveries_created_at ON deliveries (created_at)",
    # One row a run of an automation, or a run that was held back.
    """
    CREATE TABLE actions (
        id TEXT PRIMARY KEY,
        action TEXT NOT NULL,
        alert TEXT NOT NULL REFERENCES alerts (id),
        status TEXT NOT NULL,
        reason TEXT,
        command TEXT NOT NULL,
        created_at TEXT NOT NULL,
        started_at TEXT,
        ended_at TEXT,
        result TEXT,
        output TEXT,
        data TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX actions_alert ON actions (alert)",
    """
    CREATE TABLE silences (
        id TEXT PRIMARY KEY,
        matchers TEXT NOT NULL,
        reason TEXT NOT NULL,
        created_at TEXT NOT NULL,
        starts_at TEXT NOT NULL,
        ends_at TEXT NOT NULL,
        ended_at TEXT
    ) STRICT
    """,
    # The connections as they stand: the entities of kind `venue`, a column a field.
    """
    CREATE TABLE venues (
        venue TEXT PRIMARY KEY,
        status TEXT,
        reason TEXT,
        attempts TEXT,
        since TEXT,
        last_message TEXT,
        unconfirmed TEXT,
        updated_at TEXT NOT NULL
    ) STRICT
    """,
    # What windows are computed from.
    """
    CREATE TABLE samples (
        id INTEGER PRIMARY KEY,
        rule TEXT NOT NULL,
        instance TEXT NOT NULL,
        name TEXT NOT NULL,
        time TEXT NOT NULL,
        value TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX samples_series ON samples (rule, instance, name, time)",
)

# Of what a rule follows or counts (`series`), for each entity or group (`instance`): one row a sample, in their order.
SAMPLES = (
    "DROP TABLE samples",
    """
    CREATE TABLE samples (
        id INTEGER PRIMARY KEY,
        series TEXT NOT NULL,
        instance TEXT NOT NULL,
        time TEXT NOT NULL,
        value TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX samples_series ON samples (series, instance, time)",
)

# What waits to be told until something no longer stands in the way: a calendar, another alert, a silence.
HELD = """
    CREATE TABLE held (
        alert TEXT PRIMARY KEY,
        rule TEXT NOT NULL,
        reason TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        data TEXT NOT NULL
    ) STRICT
"""

# Of an account: a list of those of its values that could be counted and that its venue sends itself.
ENTITIES_SENT = "ALTER TABLE entities ADD COLUMN sent TEXT NOT NULL DEFAULT '[]'"

DELIVERIES_DEAD = "CREATE INDEX deliveries_dead ON deliveries (sequence) WHERE status = 'dead'"

# Which channel, the fallback, has the message too. It stood at the end of `error` before, where a service's own words could
# be taken for it: it is taken over only where that channel was indeed given a delivery of the same alert, by its id.
DELIVERIES_HANDED_TO = (
    "ALTER TABLE deliveries ADD COLUMN handed_to TEXT",
    """
    UPDATE deliveries SET handed_to = (
        SELECT other.channel FROM deliveries AS other
        WHERE other.alert = deliveries.alert AND other.channel <> deliveries.channel
        AND instr(other.id, deliveries.alert || '-' || deliveries.state_told || '-') = 1
        AND substr(deliveries.error, -length('; handed to ' || other.channel)) = '; handed to ' || other.channel
        ORDER BY length(other.channel) DESC LIMIT 1
    ) WHERE error IS NOT NULL
    """,
    """
    UPDATE deliveries SET error = substr(error, 1, length(error) - length('; handed to ' || handed_to))
    WHERE handed_to IS NOT NULL
    """,
    "DROP VIEW delivery_history",
)

# When the last message mentioned it; NULL in rows of versions that didn't keep that: when it last changed.
ENTITIES_LAST_SEEN = "ALTER TABLE entities ADD COLUMN last_seen TEXT"

# How new the entity is, by the venue's own times: JSON (see `rows.stamps_text`). NULL where it was stored before that was kept.
ENTITIES_STAMPS = "ALTER TABLE entities ADD COLUMN stamps TEXT"

# The operations on accounts that were told, by the venues' ids: told once more, they are known.
OPERATIONS = (
    """
    CREATE TABLE operations (
        venue TEXT NOT NULL,
        account TEXT NOT NULL,
        id TEXT NOT NULL,
        received_at TEXT NOT NULL,
        PRIMARY KEY (venue, account, id)
    ) STRICT
    """,
    "CREATE INDEX operations_received_at ON operations (received_at)",
)

# Since when an open order or position is unconfirmed: its venue was away, and hasn't mentioned it since.
ENTITIES_UNCONFIRMED = "ALTER TABLE entities ADD COLUMN unconfirmed_since TEXT"

ALERT_HISTORY = """
    SELECT a.id, a.rule, a.severity, a.state, a.venue, a.account, a.entity, a.symbol, a.title,
        a.started_at, a.fired_at, a.resolved_at, a.acked_at,
        round((julianday(a.resolved_at) - julianday(a.started_at)) * 86400, 3) AS lasted_seconds,
        (SELECT count(*) FROM deliveries AS d WHERE d.alert = a.id AND d.status = 'sent') AS sent,
        (SELECT count(*) FROM deliveries AS d WHERE d.alert = a.id AND d.status = 'pending') AS unsent,
        (SELECT count(*) FROM deliveries AS d WHERE d.alert = a.id AND d.status = 'dead') AS failed,
        (SELECT min(d.sent_at) FROM deliveries AS d WHERE d.alert = a.id) AS first_sent_at
    FROM alerts AS a
    ORDER BY a.fired_at DESC
"""

DELIVERY_HISTORY = """
    SELECT d.id, d.created_at, d.channel, d.target, d.state_told, d.severity, d.status, d.attempts, d.next_at, d.sent_at,
        round((julianday(d.sent_at) - julianday(d.created_at)) * 86400, 3) AS took_seconds,
        d.error, d.expires_at, d.alert, a.rule, a.venue, a.account, a.entity, a.symbol, a.title
    FROM deliveries AS d LEFT JOIN alerts AS a ON a.id = d.alert
    ORDER BY d.sequence DESC
"""

DELIVERY_HISTORY_HANDED_TO = DELIVERY_HISTORY.replace("d.error,", "d.error, d.handed_to,")

# What went out, word for word; missing of what hasn't, and of what went out before this was kept.
DELIVERIES_WORDS = (
    "DROP VIEW alert_history",
    "DROP VIEW delivery_history",
    "ALTER TABLE deliveries ADD COLUMN title TEXT",
    "ALTER TABLE deliveries ADD COLUMN body TEXT",
)
LATEST_SENT = "(SELECT d.{0} FROM deliveries AS d WHERE d.alert = a.id AND d.title IS NOT NULL ORDER BY d.sequence DESC LIMIT 1)"
ALERT_HISTORY_WORDS = ALERT_HISTORY.replace(
    "a.title,", f"coalesce({LATEST_SENT.format('title')}, a.title) AS title,"
)
DELIVERY_HISTORY_WORDS = DELIVERY_HISTORY_HANDED_TO.replace(
    "a.title\n", "coalesce(d.title, a.title) AS title, d.body\n"
)

# What people did, and until when an alert is acknowledged, by whom.
ACTS = (
    """
    CREATE TABLE acts (
        id INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        by TEXT NOT NULL,
        via TEXT NOT NULL,
        does TEXT NOT NULL,
        target TEXT NOT NULL,
        why TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX acts_target ON acts (target)",
    "CREATE INDEX acts_at ON acts (at)",
    "ALTER TABLE alerts ADD COLUMN acked_by TEXT",
    "ALTER TABLE alerts ADD COLUMN acked_until TEXT",
    "ALTER TABLE silences ADD COLUMN created_by TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE silences ADD COLUMN held INTEGER NOT NULL DEFAULT 0",
)

# By what a message that was sent can be edited and replied to: the chats and the message's ids there, as JSON.
DELIVERIES_HANDLE = "ALTER TABLE deliveries ADD COLUMN handle TEXT"

# What people can press below messages in chats, by an id that only they were sent.
BUTTONS = (
    """
    CREATE TABLE buttons (
        id TEXT PRIMARY KEY,
        alert TEXT NOT NULL,
        chat TEXT NOT NULL,
        does TEXT NOT NULL,
        expires_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX buttons_expires_at ON buttons (expires_at)",
)

# The delivery that carries this one, and what held it until then. The indexes: what waits by itself in its order, of that
# what isn't gathered, the parts of a digest, and when messages went out.
DELIVERIES_DIGEST = (
    "DROP VIEW delivery_history",
    "ALTER TABLE deliveries ADD COLUMN digest TEXT",
    "ALTER TABLE deliveries ADD COLUMN reason TEXT",
    "CREATE INDEX deliveries_line ON deliveries (channel, target) WHERE status = 'pending' AND digest IS NULL",
    """
    CREATE INDEX deliveries_prompt ON deliveries (channel, target)
    WHERE status = 'pending' AND digest IS NULL
    AND (severity = 'critical' OR state_told NOT IN ('firing', 'reminder', 'resolved'))
    """,
    "CREATE INDEX deliveries_digest ON deliveries (digest) WHERE digest IS NOT NULL",
    "CREATE INDEX deliveries_sent_at ON deliveries (sent_at)",
)
DELIVERY_HISTORY_DIGEST = DELIVERY_HISTORY_WORDS.replace("d.handed_to,", "d.handed_to, d.digest, d.reason,")

# Of which transition a run is, and how often it was tried. Those that are `pending` or `begun` aren't over.
ACTIONS_RUN = (
    "ALTER TABLE actions ADD COLUMN told TEXT NOT NULL DEFAULT 'firing'",
    "ALTER TABLE actions ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX actions_open ON actions (created_at) WHERE status IN ('pending', 'begun')",
    "CREATE INDEX actions_started_at ON actions (started_at)",
)

# Whom a run waits for, and who answered. What is asked isn't over either.
ACTIONS_CONFIRM = (
    "ALTER TABLE actions ADD COLUMN asked_at TEXT",
    "ALTER TABLE actions ADD COLUMN answered_at TEXT",
    "ALTER TABLE actions ADD COLUMN answered_by TEXT",
    "DROP INDEX actions_open",
    "CREATE INDEX actions_open ON actions (created_at) WHERE status IN ('asked', 'pending', 'begun')",
)

# Who is signed in to the page: `id` is the hash of what their cookie holds, `how` they signed in, `proof` that their token is
# still the same.
SESSIONS = (
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        person TEXT NOT NULL,
        how TEXT NOT NULL,
        proof TEXT NOT NULL,
        made_at TEXT NOT NULL,
        seen_at TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX sessions_seen_at ON sessions (seen_at)",
)

# What the number of an alert was, from half an hour before it until its end; and what accounts were worth.
TRAILS = (
    """
    CREATE TABLE trails (
        alert TEXT NOT NULL,
        at TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (alert, at)
    ) STRICT
    """,
    """
    CREATE TABLE equity (
        venue TEXT NOT NULL,
        account TEXT NOT NULL,
        at TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (venue, account, at)
    ) STRICT
    """,
    "CREATE INDEX equity_at ON equity (at)",
)

# What else was told of an order, a position, …, the latest first.
ALERTS_ENTITY = "CREATE INDEX alerts_entity ON alerts (entity, fired_at)"

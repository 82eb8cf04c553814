"""What must outlive the process, in SQLite: entities, rule instances, alerts, the outbox, and the record of events."""

"""From an alert to a person: the outbox's tasks, templates, and sending by Apprise."""

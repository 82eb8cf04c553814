"""What an alert starts: a webhook or a command, with the rails that keep it from being started wrongly or twice."""

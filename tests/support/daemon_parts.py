"""Stand-ins for what the daemon's parts talk to."""

from typing import Any


class Lines:
    """A log that keeps `level: event`, and the fields beside."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.fields: list[dict[str, Any]] = []

    def bind(self, **_fields: Any) -> "Lines":
        return self

    def __getattr__(self, level: str) -> Any:
        def say(event: str, **fields: Any) -> None:
            self.lines.append(f"{level}: {event}")
            self.fields.append(fields)

        return say

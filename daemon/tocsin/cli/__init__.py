"""The `tocsin` command."""


def main() -> None:
    raise SystemExit("tocsin: no command yet")

"""The files that come with Tocsin (rules, the example config): found in a checkout and in an installed wheel alike."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_CHECKOUT = _HERE.parent.parent


def shipped(name: str) -> Path:
    """The path of a shipped file or folder: `rules`, `config.example.yaml`. FileNotFoundError if it isn't there."""
    for root in (_HERE / "shipped", _CHECKOUT):
        path = root / name
        if path.exists():
            return path
    raise FileNotFoundError(f"{name} is missing from this installation of Tocsin; reinstall it")

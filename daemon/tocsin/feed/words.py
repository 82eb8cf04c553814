"""Texts that are fit to be shown: one line, no control characters, not too long, no secrets."""

from tocsin.secrets import Masker

_MOST = 400  # characters


def one_line(text: str, masker: Masker) -> str:
    """What a venue or an error says, safe in a log, a message, a terminal."""
    plain = "".join(character if character.isprintable() else " " for character in masker.mask(text))
    plain = " ".join(plain.split())
    return plain if len(plain) <= _MOST else plain[: _MOST - 1] + "…"

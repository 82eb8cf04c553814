"""Whatever a venue says, it is text to the eye: random pieces of what chats act on, through what breaks it up."""

import random

import pytest

from support.chats import discord_reads, found_in, to_the_eye
from tocsin.alerts.plain import plain
from tocsin.delivery.fitting import for_discord, for_telegram

PIECES = [
    *"@#$/.*|`~\\<>:-_()!&',", " ", "\n", "a", "é", "1", "7. ", "BTC", "USDT", "1INCH", "me", "com", "x.com", "www.", "http", "://", "tg",
    "ton", "mailto:", "**", "||", "[x](", "y)", "smile", "everyone", "here", "start", "tag", "t1",
]  # fmt: skip
TEXTS = 3000


@pytest.mark.parametrize("seed", [1, 2])
def test_random_pieces_are_text_on_telegram_and_discord(seed):
    dice = random.Random(seed)
    for _ in range(TEXTS):
        text = plain("".join(dice.choices(PIECES, k=dice.randint(1, 9))))
        broken = for_telegram(text)
        assert to_the_eye(broken) == to_the_eye(text)
        assert list(found_in(broken)) == []
        message = f"🔴 {text}\n{text}"
        assert discord_reads(for_discord(message)) == to_the_eye(message)

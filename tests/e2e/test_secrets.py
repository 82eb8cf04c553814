"""No key, token, password, ticket or signature is seen where it needn't be: not even when others shout it at us."""

import pytest

from support.daemon import MAIL_PASSWORD, SLACK_TOKENS, TELEGRAM_TOKEN
from support.mission import connected, profit
from support.receivers import TELEGRAM, Reply
from tocsin.simulator import binance_usdm, bybit, glocalflex, piexgo, topone, wealthsimple, yourfintech

pytestmark = pytest.mark.real

CONFIGURED = {
    TELEGRAM_TOKEN,
    SLACK_TOKENS,
    MAIL_PASSWORD,
    yourfintech.SECRET_KEY,
    topone.APP_KEY,
    piexgo.API_KEY,
    piexgo.API_SECRET,
    glocalflex.PASSWORD,
    wealthsimple.REFRESH_TOKEN,
    binance_usdm.KEY,
    binance_usdm.SECRET,
    bybit.KEY,
    bybit.SECRET,
}


async def test_nothing_secret_is_left_anywhere(folder, people, exchange):
    people.services.always(TELEGRAM, Reply(404, f'{{"ok":false,"description":"no bot {TELEGRAM_TOKEN}"}}'))
    venues = {name: {**settings, "record": True} for name, settings in exchange.settings().items()}
    venues["impostor"] = venues["piexgo"] | {"api_secret": "another-api-secret-of-piexgo"}
    folder.write(
        venues=venues,
        channels=people.channels(folder),
        log={"level": "debug"},
        store_market_data="all",
        rules=[
            {
                "id": "all",
                "watch": ["venue.malformed", "venue.unrecognized", "venue.refused"],
                "notify": ["desk", "phone"],
            }
        ],
    )

    def secrets() -> set[str]:
        return exchange.secrets() | CONFIGURED

    def complaining() -> set[str]:
        return {row[0] for row in folder.events("venue.malformed", "venue.unrecognized", "venue.refused")}

    async with folder.running(secrets=secrets) as daemon:
        await connected(daemon, *exchange.settings())
        await daemon.until(lambda: folder.events("venue.auth_failed"), "the impostor is refused")
        # What a venue or a service knows of us, it may say.
        shouted = " ".join(
            sorted(
                exchange.piexgo.secrets
                | exchange.glocalflex.secrets
                | {exchange.binance_usdm.listen_key}
                | CONFIGURED
                | {topone.TOKEN}
            )
        )
        profit(exchange, -60, "created")
        exchange.yourfintech.push(f"no JSON: {shouted}")
        exchange.topone.push({"method": shouted, "data": shouted})
        exchange.piexgo.push({"topic": "pinfo", "err_code": 10001, "err_msg": shouted})
        exchange.glocalflex.push({"type": shouted, "data": {}})
        exchange.binance_usdm.push({"e": shouted})
        exchange.bybit.push({"topic": shouted})
        await daemon.until(lambda: len(complaining()) >= 6, "it complains of what it was told")
        await daemon.until(
            lambda: [row for row in folder.unsent() if row[3] and "no bot ***" in row[3]],
            "Telegram shouts too",
        )
        await daemon.until(lambda: people.count()["desk"] >= 2, "people are told of it")
        texts = [text for told in people.told().values() for text in told]
        assert any("***" in text for text in texts), texts
        folder.config.write_text(folder.config.read_text().replace('"watch"', '"wach"'))
        assert (await folder.command("reload")).returncode == 1
        for command in ("status", "alerts", "deliveries"):
            await folder.command(command, "--json")

        daemon.kill()  # so that the write-ahead log stays, and is looked at
        assert (folder.state / "tocsin.db-wal").stat().st_size > 0
        recorded = {file.name for file in (folder.state / "recordings").iterdir()}
        assert recorded >= {f"{name}.jsonl" for name in exchange.settings()}
        assert "tfsa-abcabc" in (folder.state / "recordings" / "wealthsimple.jsonl").read_text()
        assert len(exchange.secrets()) >= 10
        assert not [secret for secret in secrets() for text in texts if secret in text]

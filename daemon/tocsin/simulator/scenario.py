"""What happens in the demo: a quarter of a minute at seven venues in which most things go wrong once."""

from collections.abc import Callable, Iterator
from functools import partial

from tocsin.simulator import glocalflex, piexgo, topone, wealthsimple, yourfintech
from tocsin.simulator.exchange import Exchange, Step

LASTS = 45.0  # seconds; then it begins again, with other ids
_ENTRY = 89788.01


def demo(round_number: int = 0) -> list[Step]:
    """The steps of one round. Ids differ from round to round."""
    return [
        *_yourfintech(round_number),
        *_exchanges(round_number),
        *_wealthsimple(round_number),
        *_glocalflex(round_number),
        *_binance(round_number),
        *_bybit(round_number),
    ]


def _yourfintech(n: int) -> Iterator[Step]:
    """A position sinks below -50, recovers and is closed; an account comes close to its stop-out; money is paid in."""
    red = f"be06c5da-35d4-4ca1-8865-{n:012d}"

    def push(build: Callable[[], object]) -> Callable[[Exchange], object]:
        return lambda exchange: exchange.yourfintech.push(build())

    def held(profit: float, what: str = "updated", **more: object) -> Callable[[Exchange], object]:
        return push(partial(yourfintech.position, what, red, profit=profit, entry=_ENTRY, lots=0.05, **more))

    yield Step(0.3, push(partial(yourfintech.account, 6401.125104675008)))
    yield Step(0.5, held(-0.00009999999997489795, "created"))
    yield Step(1.5, held(-31.4))
    yield Step(3.0, held(-60.25))
    yield Step(6.5, held(-71.8))
    yield Step(9.0, held(-22.10))
    yield Step(10.5, push(partial(yourfintech.account, 6901.13, ("Deposit", 500.005))))
    yield Step(13.0, held(-18.5, "closed", close_reason="StopLoss", asset_close_price=89418.0))
    yield Step(14.0, push(partial(yourfintech.account, 6882.63, ("Trading", -18.5))))


def _exchanges(n: int) -> Iterator[Step]:
    """Orders: one canceled, one partly filled and then canceled, one filled, one rejected; deals in between."""
    first = 132991 + 10 * n

    def top(build: Callable[[], object], topic: str = "sub_orders") -> Callable[[Exchange], object]:
        return lambda exchange: exchange.topone.push(build(), topic)

    def pix(build: Callable[[], object], topic: str = "pinfo") -> Callable[[Exchange], object]:
        return lambda exchange: exchange.piexgo.push(build(), topic)

    order = partial(topone.order, price="0.08132", amount="1.389")
    yield Step(1.0, top(partial(order, first, 1)))
    yield Step(4.0, top(partial(order, first, 3)))
    yield Step(2.0, top(partial(order, first + 1, 1)))
    yield Step(5.0, top(partial(order, first + 1, 1, filled="0.5", money="0.04066")))
    yield Step(7.5, top(partial(order, first + 1, 4, filled="0.5", money="0.04066")))
    yield Step(8.0, top(partial(topone.balance, "ETH", "99999980.24173", "23.596"), "sub_balance"))

    bought, refused = f"11362035932974243{n:02d}", f"11362035932974244{n:02d}"
    yield Step(1.2, pix(partial(piexgo.order, bought, 0, volume="1.00000000", remain="1.00000000")))
    yield Step(5.5, pix(partial(piexgo.order, bought, 2, volume="1.00000000", remain="0.00000000")))
    yield Step(6.0, pix(partial(piexgo.order, refused, 5, volume="250.00000000", remain="250.00000000")))
    yield Step(6.2, pix(partial(piexgo.balance, "BTC", "balance", "10000991076.10471725")))
    for second in range(1, int(LASTS), 2):
        price = 4003.9 + second / 10
        yield Step(
            float(second), pix(partial(piexgo.deal, f"{price:.10f}", "0.01510000"), "dealinfo.btc_usdt")
        )
        yield Step(
            second + 0.4,
            pix(partial(piexgo.depth, price - 0.02, price + 0.02, 36296 + second), "depth.btc_usdt"),
        )
        yield Step(second + 0.7, top(partial(topone.deals, "ETH/BTC", "0.0813", "0.25"), "sub_deals_ETH/BTC"))


def _wealthsimple(n: int) -> Iterator[Step]:
    """The next snapshot that is fetched shows another balance, and an order that was posted."""

    def turn(exchange: Exchange) -> None:
        balance = f"{1325.5 - 10 * n:.2f}"
        exchange.wealthsimple.accounts = [
            wealthsimple.account("tfsa-abcabc", balance, [wealthsimple.order(f"order-{n}", "posted")])
        ]

    yield Step(5.0, turn)


def _glocalflex(n: int) -> Iterator[Step]:
    """A contract from its verification to its settlement, and one whose settlement fails."""
    good, bad = f"contract-{2 * n + 1}", f"contract-{2 * n + 2}"

    def push(build: Callable[[], object], stream: str = "trade") -> Callable[[Exchange], object]:
        return lambda exchange: exchange.glocalflex.push(build(), stream)

    yield Step(1.8, push(partial(glocalflex.order, f"ord-{n}", "accepted")))
    yield Step(2.5, push(partial(glocalflex.trade, 0.31), "ticker"))
    yield Step(3.5, push(partial(glocalflex.contract, good, "verification_initiated", f"ord-{n}")))
    yield Step(4.5, push(partial(glocalflex.contract, good, "verification_completed_success", f"ord-{n}")))
    yield Step(5.8, push(partial(glocalflex.contract, good, "settlement_initiated", f"ord-{n}")))
    yield Step(7.0, push(partial(glocalflex.contract, good, "settlement_completed_success", f"ord-{n}")))
    yield Step(11.5, push(partial(glocalflex.contract, bad, "settlement_failed", f"ord-{n}")))


def _binance(n: int) -> Iterator[Step]:
    """An order is canceled; another one is while the venue is away, which is found out when it is back."""
    first = 8886774 + 10 * n

    def leave(exchange: Exchange) -> None:
        exchange.binance_usdm.refuse_with = 503
        exchange.binance_usdm.hang_up()

    def come_back(exchange: Exchange) -> None:
        exchange.binance_usdm.refuse_with = None

    yield Step(0.8, lambda exchange: exchange.binance_usdm.place(first))
    yield Step(1.1, lambda exchange: exchange.binance_usdm.place(first + 1, price="63500.00"))
    yield Step(3.2, lambda exchange: exchange.binance_usdm.cancel(first))
    yield Step(5.0, leave)
    yield Step(5.6, lambda exchange: exchange.binance_usdm.cancel(first + 1))
    yield Step(6.2, come_back)


def _bybit(n: int) -> Iterator[Step]:
    """A short position is closed with a loss, and an order filled."""
    bought = f"5cf98598-39a7-459e-97bf-{n:012d}"

    yield Step(0.9, lambda exchange: exchange.bybit.set_position("0.50", "-0.0026"))
    yield Step(1.6, lambda exchange: exchange.bybit.place(bought))
    yield Step(4.2, lambda exchange: exchange.bybit.fill(bought))
    yield Step(8.5, lambda exchange: exchange.bybit.set_position("0", "-12.60"))

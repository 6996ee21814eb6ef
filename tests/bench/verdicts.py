"""How often the verdict is right: with the catalogue, and with each vendor's own signatures left out.

The baseline is what most teams have: 402 means pay, 401 and 403 the key, 429 throttling, 5xx an outage.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from exporter.providers import catalogue
from exporter.providers.answer import Exchange
from exporter.providers.catalogue import Signature, Vendor
from exporter.providers.kinds import Kind
from exporter.providers.verdict import judge
from tests.bench.figure import Bench, Figure

_BY_STATUS = {402: "payment_required", 401: "credentials_invalid", 403: "credentials_invalid", 429: "rate_limited"}
_MONEY = {"payment_required", "account_suspended"}
Judge = Callable[[Exchange, Vendor], str]


def by_status(exchange: Exchange, _: Vendor) -> str:
    if exchange.status >= 500:
        return "outage"
    return _BY_STATUS.get(exchange.status, "ok" if exchange.status < 300 else "unknown")


def with_catalogue(exchange: Exchange, vendor: Vendor) -> str:
    return judge(exchange, vendor.signatures).kind


def vendor_left_out(exchange: Exchange, _: Vendor) -> str:
    return judge(exchange).kind


def cases() -> list[tuple[Vendor, Signature, Exchange]]:
    found = []
    for vendor in catalogue.every():
        for signature in vendor.signatures:
            if signature.example:
                headers = {name.lower(): value for name, value in signature.example.headers.items()}
                exchange = Exchange(signature.example.status, signature.example.body.encode(), headers)
                found.append((vendor, signature, exchange))
    return found


async def run(_: Path) -> Sequence[Figure]:
    known = cases()

    def right(how: Judge) -> float:
        return sum(how(exchange, vendor) == signature.verdict for vendor, signature, exchange in known) / len(known)

    def invented(how: Judge) -> int:
        kinds = [(Kind(how(exchange, vendor)), signature) for vendor, signature, exchange in known]
        return sum(
            kind in _MONEY and signature.verdict not in _MONEY and kind not in signature.also_possible
            for kind, signature in kinds
        )

    base = right(by_status)
    figures = []
    for name, how, bar, most in (
        ("with the catalogue", with_catalogue, 0.97, 0),
        ("each vendor left out", vendor_left_out, 0.80, 2),
    ):
        share, wrong = right(how), invented(how)
        text = (
            f"{share:.3f} of {len(known)} verdicts right against {base:.3f}, {wrong} bills invented; bars {bar}, {most}"
        )
        figures.append(Figure(f"verdicts, {name}", share / base, "the status alone", text, share < bar or wrong > most))
    return figures


BENCH = Bench("verdicts", "how often the verdict is right, against the status alone", run)

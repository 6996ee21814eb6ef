"""Starts and ends drills, and asks Prometheus and Alertmanager how far one has come."""

import asyncio
from collections.abc import Callable, Sequence

import aiohttp

from receiver.alerts import Status
from receiver.drills.drill import ALERT, METRIC, Drill, Finding, HopName, Record, Report, ended, hops, refusal, shown
from receiver.settings import ReceiverConfig
from receiver.store import DrillStore
from toolkit.alertmanager import Alertmanager, Unreachable
from toolkit.clock import Now
from toolkit.configfile import nearest
from toolkit.prometheus import Prometheus, QueryFailed

ASKING_SECONDS = 5.0
_SCRAPED = f"max(last_over_time({METRIC}[5m]))"
_FIRES = f'ALERTS{{alertname="{ALERT}",alertstate="firing"}}'
_HELD = (f'alertname="{ALERT}"', 'drill="true"')


class UnknownTarget(Exception):
    """A drill was asked for a target that is not configured, or there is none. The message is for people."""


class Refused(Exception):
    """No drill can start now. The message says why."""


class Driller:
    """At most one drill at a time, whichever replica is asked. Every method raises StorageUnavailable."""

    def __init__(
        self, store: DrillStore, session: aiohttp.ClientSession, config: Callable[[], ReceiverConfig], now: Now
    ) -> None:
        self._store, self._session, self._config, self._now = store, session, config, now

    async def start(self, target: str) -> Drill:
        """Begins a drill for one target, or with "" for all. Raises UnknownTarget or Refused."""
        names = self._everyone
        if not names:
            raise UnknownTarget("there is no target that could be told")
        if target and target not in names:
            raise UnknownTarget(f"no target is named '{target}'{nearest(target, names)}")
        last = await self._store.last()
        reason = refusal(last, await self._store.record(last) if last is not None else Record(), self._now())
        if reason is not None:
            raise Refused(reason)
        return await self._store.order(target, self._now())

    async def end(self) -> None:
        """Ends the drill under way, if there is one: its alert resolves."""
        last = await self._store.last()
        if last is not None and last.ended_at is None:
            await self._store.put(ended(last, self._now()))

    async def started(self) -> float:
        """The metric's value: when the drill under way began; 0 when there is none."""
        return shown(await self._store.last(), self._now())

    async def report(self) -> Report | None:
        """How far the last drill has come; None before the first."""
        drill = await self._store.last()
        if drill is None:
            return None
        record = await self._store.record(drill)
        phases: list[Status] = ["firing", "resolved"] if drill.ended_at is not None else ["firing"]
        found = [
            hops(phase, await self._ask(phase, drill, record), drill, record, self._everyone, self._now())
            for phase in phases
        ]
        return Report(drill, tuple(hop for phase in found for hop in phase))

    @property
    def _everyone(self) -> list[str]:
        return [target.name for target in self._config().targets]

    async def _ask(self, phase: Status, drill: Drill, record: Record) -> dict[HopName, Finding]:
        """What others know of a phase; whoever is not configured is left out. Nobody is asked for what is past."""
        config = self._config()
        found: dict[HopName, Finding] = {}
        past = record.first(phase) is not None or (phase == "firing" and drill.ended_at is not None)
        if config.prometheus is None:
            found["scrape"] = found["rule"] = Finding("skipped", "not asked: receiver.yml has no `prometheus`")
        elif not past:
            server = Prometheus(self._session, config.prometheus.url, config.prometheus.bearer_token_file)
            value = drill.started_at if phase == "firing" else 0.0
            found["scrape"] = await _scraped(server, value)
            found["rule"] = await _fires(server, phase)
        if not config.alertmanagers:
            found["alertmanager"] = Finding("skipped", "not asked: receiver.yml has no `alertmanagers`")
        elif not past:
            servers = [Alertmanager(self._session, one.url, one.bearer_token_file) for one in config.alertmanagers]
            found["alertmanager"] = _held(phase, await asyncio.gather(*(_holds(server) for server in servers)))
        return found


async def _scraped(server: Prometheus, wanted: float) -> Finding:
    try:
        async with asyncio.timeout(ASKING_SECONDS):
            samples = await server.query(_SCRAPED)
    except (QueryFailed, TimeoutError) as error:
        return Finding("waiting", str(error) or "Prometheus does not answer")
    value = samples[0].value if samples else None
    if value is not None and abs(value - wanted) < 0.5:
        return Finding("done", "Prometheus has the metric")
    return Finding(
        "waiting", "Prometheus lacks the metric" if value is None else f"Prometheus has an older value, {value:.0f}"
    )


async def _fires(server: Prometheus, phase: Status) -> Finding:
    try:
        async with asyncio.timeout(ASKING_SECONDS):
            fires = bool(await server.query(_FIRES))
    except (QueryFailed, TimeoutError) as error:
        return Finding("waiting", str(error) or "Prometheus does not answer")
    return Finding(
        "done" if fires == (phase == "firing") else "waiting", f"{ALERT} {'fires' if fires else 'does not fire'}"
    )


async def _holds(server: Alertmanager) -> bool | str:
    """Whether an Alertmanager holds the drill's alert, or why that is not known."""
    try:
        async with asyncio.timeout(ASKING_SECONDS):
            return bool((await server.holdings(*_HELD)).alerts)
    except (Unreachable, TimeoutError) as error:
        return str(error) or "Alertmanager does not answer"


def _held(phase: Status, answers: Sequence[bool | str]) -> Finding:
    """One that holds the alert is enough; it has ended when none does."""
    unknown = [answer for answer in answers if isinstance(answer, str)]
    holding = sum(answer is True for answer in answers)
    words = "; ".join([f"{holding} of {len(answers)} hold {ALERT}", *unknown])
    done = holding > 0 if phase == "firing" else not holding and len(unknown) < len(answers)
    return Finding("done" if done else "waiting", words)

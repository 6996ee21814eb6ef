"""Whether a message is told now, or kept for a better time. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from receiver.oncall.quiet import quiet_until
from receiver.oncall.settings import Digest, Person, Rest, Team
from receiver.oncall.zones import instant, local_day

Reason = Literal["quiet_hours", "digest"]


@dataclass(frozen=True)
class Hold:
    """A message is not told before `until` (seconds since the epoch); with others in one, when it is for a `digest`."""

    until: float
    reason: Reason
    digest: str | None = None


@dataclass(frozen=True)
class Holds:
    """What the configuration says about waiting."""

    people: Mapping[str, Person]
    teams: Mapping[str, Team]
    digests: Mapping[str, Digest]

    def of(self, target: str, severity: str, now: float) -> Hold | None:
        """What keeps a message of this severity back from a target; None when it is told now.

        A target is quiet while everybody whom it reaches is: the people who have it among their contacts and the teams
        whose own it is. A digest that comes while it is quiet waits for the first one after that.
        """
        if severity == "critical":
            return None
        quiet = _all_quiet(self._owners(target), severity, now)
        for name, digest in self.digests.items():
            if target in digest.targets and severity in digest.severities:
                return Hold(next_time(digest, now if quiet is None else quiet), "digest", name)
        return Hold(quiet, "quiet_hours") if quiet is not None else None

    def _owners(self, target: str) -> Collection[Rest]:
        people = [one for one in self.people.values() if any(target in names for names in one.contacts.values())]
        return [*people, *(team for team in self.teams.values() if target in team.targets)]


def _all_quiet(owners: Iterable[Rest], severity: str, now: float) -> float | None:
    """Until when all are; None when one isn't, or there is none."""
    ends = [quiet_until(one, severity, now) for one in owners]
    known = [end for end in ends if end is not None]
    return min(known) if known and len(known) == len(ends) else None


def next_time(digest: Digest, now: float) -> float:
    """When the digest is sent next, `now` included (seconds since the epoch)."""
    if digest.every == "hour":
        # by the clock on the wall, for some zones are half an hour apart from the others
        past = (now - instant(local_day(now, digest.timezone), digest.at, digest.timezone)) % 3600
        return now + (3600 - past) % 3600
    today = local_day(now, digest.timezone)
    days = (instant(today + timedelta(days=ahead), digest.at, digest.timezone) for ahead in range(3))
    return next(at for at in days if at >= now)

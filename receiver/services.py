"""Which service stands on which. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ServiceGraph:
    """`depends_on` names for each service those that it needs; `tiers` how much it matters, 1 the most.

    A circle is allowed: services in one are each other's cause and effect, and none of them is the lower one.
    """

    depends_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tiers: Mapping[str, int] = field(default_factory=dict)

    def below(self, service: str) -> frozenset[str]:
        """Everything that `service` needs, directly or not; itself only when it is in a circle."""
        found: set[str] = set()
        waiting = list(self.depends_on.get(service, ()))
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting.extend(self.depends_on.get(one, ()))
        return frozenset(found)

    def neighbours(self, service: str) -> frozenset[str]:
        """Every service that needs `service` or that it needs."""
        above = {one for one in self.depends_on if service in self.below(one)}
        return (self.below(service) | above) - {service}

    def lowest(self, services: Collection[str]) -> str | None:
        """The one of `services` that another of them needs and that needs none of them; None when there is no such
        one, or more than one."""
        found = set(services)
        lowest = {
            one
            for one in found
            if not (self.below(one) & found) and any(one in self.below(other) for other in found - {one})
        }
        return lowest.pop() if len(lowest) == 1 else None

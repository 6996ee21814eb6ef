"""Which settings make which rule: the one list of the kinds."""

from exporter.usage.sequences.burst import Burst
from exporter.usage.sequences.expect import Expect
from exporter.usage.sequences.funnel import Funnel
from exporter.usage.sequences.never import Never
from exporter.usage.sequences.rule import Rule
from exporter.usage.sequences.settings import (
    BurstSettings,
    ExpectSettings,
    FunnelSettings,
    NeverSettings,
    SequenceSettings,
    SilentSettings,
)
from exporter.usage.sequences.silent import Silent


def rule_of(settings: SequenceSettings) -> Rule:
    """The rule that settings of any kind ask for."""
    match settings:
        case ExpectSettings():
            return Expect(settings)
        case NeverSettings():
            return Never(settings)
        case FunnelSettings():
            return Funnel(settings)
        case SilentSettings():
            return Silent(settings)
        case BurstSettings():
            return Burst(settings)
    raise TypeError(f"{type(settings).__name__} is no kind of rule")

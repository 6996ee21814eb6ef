"""What events of one key mean together: one after another, too late, never, too many, none any more. Pure.

`settings.py` is the vocabulary, a file for each kind of rule says what it decides, `keys.py` keeps what is remembered
of each key and `sequences.py` is the door: events in, outcomes out, and the rows that have to be stored with them.

The law that everything here holds: **when an event comes does not matter, only when it happened**, as long as it comes
within the rule's `lateness`. So nothing is decided before that has passed. Events wait with their key until the
watermark (the present less the lateness, in whole seconds) has gone by, and are then looked at in the order of their
time.
"""

from exporter.usage.sequences.rule import Outcome, Rule
from exporter.usage.sequences.sequences import Row, Sequences, Sighting
from exporter.usage.sequences.settings import COMMON, AnySequence, lint, mentions
from exporter.usage.sequences.table import rule_of

__all__ = [
    "COMMON",
    "AnySequence",
    "Outcome",
    "Row",
    "Rule",
    "Sequences",
    "Sighting",
    "lint",
    "mentions",
    "rule_of",
]

"""Where people act on incidents: acknowledge, resolve, assign, note, snooze, silence, reclassify."""

from receiver.desk.deeds import Person, Refused
from receiver.desk.desk import Desk, Done

__all__ = ["Desk", "Done", "Person", "Refused"]

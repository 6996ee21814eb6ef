"""Tells Tocsin's exporter what a program's own calls to third-party APIs were answered."""

from tocsin_observe.limits import Limits
from tocsin_observe.observer import Observer
from tocsin_observe.tally import Statistics

__all__ = ["Limits", "Observer", "Statistics"]

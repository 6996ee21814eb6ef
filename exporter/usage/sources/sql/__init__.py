"""Queries as a source: what a database answers becomes gauges or counters. Begin with `source.py`."""

from exporter.usage.sources.sql.collecting import families
from exporter.usage.sources.sql.settings import SqlSettings, lint
from exporter.usage.sources.sql.source import SqlSource, Turns

__all__ = ["SqlSettings", "SqlSource", "Turns", "families", "lint"]

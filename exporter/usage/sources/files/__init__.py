"""Log files as a source: finding -> tail (mark, piece) -> source. Begin with `source.py`."""

from exporter.usage.sources.files.deliveries import Forgetful
from exporter.usage.sources.files.settings import FileSettings, lint
from exporter.usage.sources.files.source import FileSource

__all__ = ["FileSettings", "FileSource", "Forgetful", "lint"]

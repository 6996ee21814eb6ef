"""What the exporter and the receiver both need, and that knows neither."""

from importlib.metadata import version

VERSION = version("tocsin")

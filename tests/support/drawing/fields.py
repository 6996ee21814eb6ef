"""A panel's field settings: the defaults, and the overrides that match a field's name."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.drawing.units import NOTHING, shown

Json = Mapping[str, Any]
COLOURS = {
    "text": "#2b3440",
    "green": "#2f855a",
    "yellow": "#b7890b",
    "semi-dark-yellow": "#e0b878",
    "orange": "#d2691e",
    "semi-dark-orange": "#c05621",
    "red": "#c53030",
    "semi-dark-red": "#b33a3a",
    "dark-red": "#7b1e1e",
    "blue": "#3567a8",
    "light-blue": "#6ea3d8",
    "purple": "#7a4fa3",
    "transparent": "#2b3440",
}
PALETTE = ("#3567a8", "#d2812b", "#3f8f5f", "#a94a5c", "#7a5fa8", "#2b9090", "#9a7f2f", "#6b7684", "#c06c9a", "#5a8f2f")


@dataclass(frozen=True)
class Field:
    """What holds for one field; `settings` by Grafana's names, those of the panel's type as `custom.NAME`."""

    settings: Json

    def __getitem__(self, name: str) -> Any:
        return self.settings.get(name)

    def colour(self, value: float) -> str:
        """By the thresholds."""
        steps = (self["thresholds"] or {"steps": []})["steps"]
        reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
        return hexed(reached[-1]) if reached else COLOURS["text"]

    def mapped(self, value: float | str | None) -> tuple[str, str] | None:
        """(text, colour) where a mapping says what stands for a value."""
        for mapping in self["mappings"] or []:
            options = mapping["options"]
            if mapping["type"] == "special":
                if _is_special(value, options["match"]):
                    return options["result"]["text"], hexed(options["result"]["color"])
            elif mapping["type"] == "range":
                if isinstance(value, float) and _within(value, options["from"], options["to"]):
                    return options["result"]["text"], hexed(options["result"]["color"])
            elif _key(value) in options:
                found = options[_key(value)]
                return found["text"], hexed(found["color"])
        return None

    def text(self, value: float | str | None, now: float) -> tuple[str, str]:
        """(what is shown for a value, its colour)."""
        mapped = self.mapped(value)
        if mapped:
            return mapped
        if value is None:
            return NOTHING, COLOURS["text"]
        if isinstance(value, str):
            return value, COLOURS["text"]
        return shown(value, self["unit"] or "none", self["decimals"], now), self.colour(value)


def hexed(colour: str) -> str:
    """Grafana's name of a colour as a page needs it."""
    return COLOURS.get(colour, colour)


def field_of(config: Json, name: str, ref: str = "") -> Field:
    """The settings of the field of that name, from the query `ref`."""
    defaults = dict(config["defaults"])
    settings = {f"custom.{key}": value for key, value in defaults.pop("custom", {}).items()} | defaults
    for override in config["overrides"]:
        if _matches(override["matcher"], name, ref):
            settings |= {each["id"]: each["value"] for each in override["properties"]}
    return Field(settings)


def _matches(matcher: Json, name: str, ref: str) -> bool:
    wanted = matcher["options"]
    if matcher["id"] == "byName":
        return bool(wanted == name)
    if matcher["id"] == "byFrameRefID":
        return bool(wanted == ref)
    return re.search(wanted.strip("/"), name) is not None


def _is_special(value: float | str | None, match: str) -> bool:
    if match == "empty":
        return value == ""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or low <= value) and (high is None or value <= high)


def _key(value: float | str | None) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)

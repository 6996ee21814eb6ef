"""Reads `words.yml`, the general rules, into patterns."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from exporter.providers.kinds import Kind
from toolkit import configfile
from toolkit.configfile import Model

FILE = Path(__file__).parent / "words.yml"


class _Rule(Model):
    verdict: Kind
    name: str
    why: Annotated[str, Field(min_length=8)]
    patterns: Annotated[tuple[str, ...], Field(min_length=1)]


class _Words(Model):
    nouns: dict[str, str]
    rules: tuple[_Rule, ...]


@dataclass(frozen=True)
class WordRule:
    """One general rule: the verdict, the rule's name, and what plain words must hold."""

    kind: Kind
    name: str
    pattern: re.Pattern[str]


@cache
def rules() -> tuple[WordRule, ...]:
    """The rules in their order, compiled once."""
    words = configfile.load(FILE, _Words)
    return tuple(WordRule(rule.verdict, rule.name, _compiled(rule.patterns, words.nouns)) for rule in words.rules)


def _compiled(patterns: tuple[str, ...], nouns: dict[str, str]) -> re.Pattern[str]:
    joined = "|".join(patterns)
    return re.compile(re.sub(r"<<(\w+)>>", lambda found: nouns[found[1]], joined))

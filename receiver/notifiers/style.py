"""How the operator wants messages to be written: without what may not leave, and in words of their own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import msgspec

from receiver.message import Message
from receiver.notifiers.words import TITLE_LIMIT, Fact, Words, clean, clip, words
from receiver.templates.settings import TemplateSettings
from receiver.templates.template import Mistake, Template

Failed = Callable[[str, str], None]
"""Is told a template's name and why it failed."""


@dataclass(frozen=True)
class Own:
    """A template, compiled."""

    name: str
    targets: frozenset[str]
    teams: frozenset[str]
    title: Template | None
    body: Template | None

    @classmethod
    def of(cls, settings: TemplateSettings) -> "Own":
        """Raises Mistake or OSError; `lint` has told both before."""
        body = settings.read_body()
        return cls(
            settings.name,
            frozenset(settings.targets),
            frozenset(settings.teams),
            Template(settings.title) if settings.title is not None else None,
            Template(body) if body is not None else None,
        )

    def is_for(self, target: str, message: Message) -> bool:
        """Whether it words what this target is told of this message. A digest is no message of one incident."""
        return (
            not message.digest
            and (not self.targets or target in self.targets)
            and (not self.teams or message.owner in self.teams)
        )

    def say(self, message: Message, may_repeat: bool) -> Words:
        """The words. Raises Mistake."""
        said = words(message, may_repeat)
        if self.title is not None:
            repeat = " (may be a repeat)" if may_repeat else ""
            said = replace(said, title=clip(_title(self.title, message), TITLE_LIMIT - len(repeat)) + repeat)
        if self.body is None:
            return said
        lines = tuple(Fact("", clean(line)) for line in self.body(message).splitlines() if line.strip())
        if not lines:
            raise Mistake(0, "it says nothing")
        return replace(said, lead="", facts=lines, steps=(), fallback="", unknown="", more=())


@dataclass(frozen=True)
class Style:
    """How a target's messages are written. Without settings: in our words, with all that is in them."""

    target: str = ""
    redact: Callable[[Message], Message] = lambda message: message
    templates: tuple[Own, ...] = ()
    failed: Failed = lambda _name, _reason: None

    def say(self, message: Message, may_repeat: bool) -> Words:
        """The words of a message that is redacted already. A template that fails is told to `failed` and in the
        message; the page is never lost."""
        own = next((one for one in self.templates if one.is_for(self.target, message)), None)
        if own is None:
            return words(message, may_repeat)
        try:
            return own.say(message, may_repeat)
        except Mistake as mistake:
            self.failed(own.name, str(mistake))
            gap = f"template {own.name}: {mistake}"
            return words(msgspec.structs.replace(message, absent=(*message.absent, gap)), may_repeat)


def compiled(templates: Iterable[TemplateSettings]) -> tuple[Own, ...]:
    """The templates in their order, of which the first that fits words a message."""
    return tuple(map(Own.of, templates))


def _title(template: Template, message: Message) -> str:
    made = clean(template(message))
    if not made:
        raise Mistake(0, "its title says nothing")
    return made

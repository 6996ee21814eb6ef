"""`templates` in config/receiver.yml: messages in the operator's own words."""

from collections.abc import Collection, Iterator, Sequence

import pydantic

from receiver.notifiers.stories import STORIES, acknowledged, resolved
from receiver.templates.template import Mistake, Template
from toolkit.configfile import ExistingFile, Location, Model, Name, nearest


class TemplateSettings(Model):
    """One template, for messages to these targets and of these teams; of all where none is named. The title, the body
    or both are its own; the links stay."""

    name: Name
    targets: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    title: str | None = None
    body: str | None = None
    body_file: ExistingFile | None = None

    @pydantic.model_validator(mode="after")
    def _says_something(self) -> "TemplateSettings":
        if self.body is not None and self.body_file is not None:
            raise ValueError("has both body and body_file; one will do")
        if self.title is None and self.body is None and self.body_file is None:
            raise ValueError("needs a title, a body or a body_file")
        return self

    def read_body(self) -> str | None:
        """The body's source. Raises OSError."""
        return self.body_file.read_text(errors="replace") if self.body_file is not None else self.body


def lint(
    templates: Sequence[TemplateSettings], targets: Collection[str], teams: Collection[str]
) -> Iterator[tuple[Location, str]]:
    """Names that nobody has, mistakes in templates, and what goes wrong when they are tried on the stories."""
    names: set[str] = set()
    for index, template in enumerate(templates):
        at: Location = ("templates", index)
        if template.name in names:
            yield (*at, "name"), f"the name '{template.name}' is used twice"
        names.add(template.name)
        for place, name in enumerate(template.targets):
            if name not in targets:
                yield (*at, "targets", place), f"no target is named '{name}'{nearest(name, targets)}"
        for place, name in enumerate(template.teams):
            if teams and name not in teams:
                yield (*at, "teams", place), f"no team is named '{name}'{nearest(name, teams)}"
        yield from (((*at, part), problem) for part, problem in _problems(template))


def _problems(template: TemplateSettings) -> Iterator[tuple[str, str]]:
    part = "body" if template.body_file is None else "body_file"
    file = f"{template.body_file}: " if template.body_file is not None else ""
    for name, source, prefix in (("title", template.title, ""), (part, template.read_body(), file)):
        if source is not None and (problem := _problem(source)):
            yield name, f"{prefix}{problem}"


def _problem(source: str) -> str:
    """What is wrong with a template, "" for nothing."""
    try:
        template = Template(source)
        for story in STORIES.values():
            for told in (story, acknowledged(story), resolved(story)):
                template(told)
    except Mistake as mistake:
        return str(mistake)
    return ""

"""By which targets a person is reached. Pure."""

from receiver.oncall.settings import DEFAULT, Person


def contacts(person: Person, severity: str) -> tuple[str, ...]:
    """The names of the targets for `severity` ("info", "warning" or "critical"); empty when there is none."""
    return person.contacts.get(severity) or person.contacts.get(DEFAULT, ())

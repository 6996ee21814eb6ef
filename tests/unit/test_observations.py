import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import Provider
from exporter.observations import TooMany, read
from exporter.providers.answer import Exchange, Failure

PROVIDERS = {
    name: Provider.model_validate({"name": name, "url": "http://x/", "vendor": vendor})
    for name, vendor in (("mail", "sendgrid"), ("mail-eu", "sendgrid"), ("pay", "stripe"))
}

ITEMS: list[tuple[str, dict[str, Any], str]] = [
    ("by the provider's name", {"provider": "mail", "status": 200}, "mail"),
    ("by a vendor that is one provider's", {"vendor": "stripe", "status": 200}, "pay"),
    ("a vendor that is several providers'", {"vendor": "sendgrid", "status": 200}, "several providers are of the vendor 'sendgrid'"),
    ("a vendor that is nobody's", {"vendor": "twilio", "status": 200}, "no provider is of the vendor 'twilio'"),
    ("nobody's", {"status": 200}, "name the provider"),
    ("a name that is not known", {"provider": "mial", "status": 200}, "did you mean 'mail'?"),
    ("neither status nor error", {"provider": "mail"}, "give a status, or an error"),
    ("a status that is no number", {"provider": "mail", "status": "ok"}, "$.status"),
    ("a status that is none", {"provider": "mail", "status": -1}, "$.status"),
    ("a time that ran backwards", {"provider": "mail", "status": 200, "seconds": -7}, "$.seconds"),
    ("an error that is not known", {"provider": "mail", "error": "oops"}, "$.error"),
]  # fmt: skip


@pytest.mark.parametrize(("item", "expected"), [row[1:] for row in ITEMS], ids=[row[0] for row in ITEMS])
def test_an_observation_names_its_provider_or_is_refused_with_the_reason(item: dict[str, Any], expected: str) -> None:
    found = read(json.dumps(item).encode(), False, PROVIDERS)
    if found.rejects:
        assert expected in found.rejects[0].reason
    else:
        assert found.observations[0].provider.name == expected


def test_an_answer_and_the_lack_of_one() -> None:
    body = (
        b'{"provider": "mail", "status": 402, "headers": {"Retry-After": "1"}, "body": "no", "operation": "POST x"}\n'
    )
    body += b'{"provider": "mail", "error": "timeout", "seconds": 3}\n'
    answered, silent = read(body, True, PROVIDERS).observations
    assert answered.outcome == Exchange(402, b"no", {"retry-after": "1"})
    assert answered.source == "calls: POST x"
    assert isinstance(silent.outcome, Failure)
    assert (silent.outcome.reason, silent.outcome.seconds, silent.source) == ("timeout", 3, "calls")


def test_a_body_of_too_many_is_refused() -> None:
    with pytest.raises(TooMany):
        read(b"{}\n" * 1001, True, PROVIDERS)


@given(st.binary() | st.text().map(str.encode), st.booleans())
def test_no_body_breaks_the_reading(body: bytes, ndjson: bool) -> None:
    found = read(body, ndjson, PROVIDERS)
    assert len(found.observations) + found.rejected >= len(found.rejects)

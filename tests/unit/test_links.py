"""Signed links: what was signed passes, and nothing else does."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from receiver.links import INCIDENT, INCIDENT_SECONDS, NEVER, BadLink, Signer, sign, verify

KEY, NOW = b"k" * 32, 1_790_000_000.0
SUBJECTS = st.text(min_size=1, max_size=60)
PURPOSES = st.from_regex(r"[a-z]{1,12}", fullmatch=True)


def flaw(key: bytes, purpose: str, token: str, now: float) -> str:
    with pytest.raises(BadLink) as found:
        verify(key, purpose, token, now)
    return found.value.flaw


@given(key=st.binary(min_size=1, max_size=40), purpose=PURPOSES, subject=SUBJECTS, left=st.integers(0, 10**9))
def test_what_was_signed_passes_until_it_expires(key: bytes, purpose: str, subject: str, left: int) -> None:
    token = sign(key, purpose, subject, int(NOW) + left)
    assert verify(key, purpose, token, NOW) == subject
    assert flaw(key, purpose, token, NOW + left + 1) == "expired"
    assert verify(key, purpose, sign(key, purpose, subject), NOW * 2) == subject


@given(token=st.text(max_size=120))
def test_no_text_passes_that_was_not_signed(token: str) -> None:
    assert flaw(KEY, INCIDENT, token, NOW) in ("malformed", "tampered")


@given(data=st.data(), subject=SUBJECTS, character=st.characters())
def test_no_token_passes_once_a_character_was_changed_added_or_left_out(
    data: st.DataObject, subject: str, character: str
) -> None:
    token = sign(KEY, INCIDENT, subject, int(NOW) + 60)
    at = data.draw(st.integers(0, len(token)))
    upto = data.draw(st.integers(at, min(at + 2, len(token))))
    changed = token[:at] + data.draw(st.sampled_from(["", character, character * 2])) + token[upto:]
    assume(changed != token)
    assert flaw(KEY, INCIDENT, changed, NOW) in ("malformed", "tampered")


@given(other=st.binary(max_size=40), purpose=PURPOSES)
def test_no_token_passes_for_another_key_or_purpose(other: bytes, purpose: str) -> None:
    assume(other.rstrip(b"\0") != KEY and purpose != INCIDENT)  # HMAC fills a key up with zeros
    token = sign(KEY, INCIDENT, "7", NEVER)
    assert flaw(other, INCIDENT, token, NOW) == "tampered"
    assert flaw(KEY, purpose, token, NOW) == "another_purpose"


@given(first=SUBJECTS, second=SUBJECTS)
def test_no_two_subjects_share_a_token(first: str, second: str) -> None:
    assert (sign(KEY, INCIDENT, first) == sign(KEY, INCIDENT, second)) == (first == second)


def test_a_signer_makes_the_link_of_an_incident_and_knows_it_again() -> None:
    signer = Signer(KEY, "https://tocsin.example")
    url = signer.incident_url(42, NOW)
    assert url.startswith("https://tocsin.example/a/incident.42.")
    assert signer.incident(url.rpartition("/")[2], NOW + INCIDENT_SECONDS) == 42
    assert flaw(KEY, INCIDENT, url.rpartition("/")[2], NOW + INCIDENT_SECONDS + 1) == "expired"


def test_without_a_key_there_are_no_links_and_none_is_good() -> None:
    assert not Signer(b"", "https://tocsin.example").incident_url(42, NOW)
    assert flaw(b"", INCIDENT, sign(b"", INCIDENT, "42"), NOW) == "tampered"

"""Nothing secret and nothing personal leaves by any channel, wherever in a message it stands."""

import json
from typing import Any

import msgspec
import pytest

from receiver.message import Change, Message
from receiver.notifiers import blocks
from receiver.notifiers.render import CHANNELS
from receiver.notifiers.words import words
from receiver.redact import LONGEST, OURS, RESPONSIBLE, MessageRedactor
from tests.support.stories import MOMENTS, STORIES
from toolkit.redaction import impersonal

CANARIES = [
    ("a bearer token", "Authorization: Bearer canary4711.abcdef", "canary4711"),
    ("a key with its vendor's beginning", "refused sk_live_canary4711abcd", "canary4711"),
    ("a password in a URL", "dial postgres://app:canary4711@db/orders", "canary4711"),
    ("a token in a query", "GET https://api.example.com/x?api_key=canary4711", "canary4711"),
    ("a JSON web token", "got eyJhbGciOiJIUzI1NiJ9.canary4711.c2ln", "canary4711"),
    ("a mail address", "no such user canary4711@example.com", "canary4711"),
    ("a mail address in a link", "see https://shop.example.com/?user=canary4711%40example.com", "canary4711"),
    ("a card's number", "declined 4111 1111 1111 1111 today", "4111 1111"),
    ("a card's number beside a letter", "declined x4111111111111111", "41111111"),
    ("a card's number beside a line", "declined id_4111111111111111_2", "41111111"),
    ("a card's number and another", "declined 4111 1111 1111 1111 2 times", "4111 1111"),
    ("an account's number", "paid from DE89 3704 0044 0532 0130 00", "0532 0130"),
    ("an account's number in small letters", "paid from de89370400440532013000", "0532013"),
    ("an account's number and words", "de89 3704 0044 0532 0130 00 has been used", "0532 0130"),
    ("an account's number and a word of four letters", "BE68 5390 0754 7034 paid", "0754 7034"),
    ("what the operator names", "customer C-4711 is cut off", "C-4711"),
]
REDACT = MessageRedactor(["C-[0-9]+"])


def filled(value: str) -> Message:
    """A message that says `value` everywhere."""
    found: dict[str, Any] = {}
    for name in Message.__struct_fields__:
        held = getattr(STORIES["checkout-drop"], name)
        if name.endswith("_url") or name in OURS or name == "digest":
            continue
        if isinstance(held, str):
            found[name] = value
        elif isinstance(held, tuple):
            found[name] = (value,)
    return msgspec.structs.replace(STORIES["checkout-drop"], **{**found, "changes": (Change(value, 1.0),)})


def told(name: str, message: Message) -> str:
    shown = CHANNELS[name](message, words(message))
    native = json.dumps(shown.native, ensure_ascii=False)
    return "\n".join([shown.title, shown.body, native, *shown.headers.values(), *shown.parameters.values()])


@pytest.mark.parametrize(("text", "canary"), [row[1:] for row in CANARIES], ids=[row[0] for row in CANARIES])
def test_no_channel_tells_it(text: str, canary: str) -> None:
    raw = filled(text)
    redacted = REDACT(raw)
    if "example.com" in text:  # who is to act keeps the address: the next test
        redacted = msgspec.structs.replace(redacted, **dict.fromkeys(RESPONSIBLE, ""))
    digest = REDACT(msgspec.structs.replace(STORIES["checkout-drop"], digest=(text,)))
    for name in CHANNELS:
        assert canary not in told(name, redacted) + told(name, digest), name
    assert canary not in json.dumps([blocks.blocks(redacted), blocks.details(redacted)])
    assert canary in told("text", raw)  # or the test would prove nothing


def test_the_address_of_who_is_to_act_is_kept_but_no_secret_beside_it() -> None:
    owner = "finance@example.com, token: canary4711abc"
    assert (
        REDACT(msgspec.structs.replace(STORIES["unpaid-bill"], owner=owner)).owner == "finance@example.com, token: ***"
    )


@pytest.mark.parametrize("story", MOMENTS)
def test_a_message_without_secrets_is_left_as_it_is(story: str) -> None:
    assert REDACT(MOMENTS[story]) == MOMENTS[story]


def test_a_signed_link_of_ours_stays_and_a_credential_in_anothers_does_not() -> None:
    signed = "https://tocsin.example.com/a/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2ln"
    message = msgspec.structs.replace(
        STORIES["unpaid-bill"], acknowledge_url=signed, query_url="https://prometheus.example.com/?token=canary4711"
    )
    assert REDACT(message).acknowledge_url == signed
    assert REDACT(message).query_url == "https://prometheus.example.com/?token=***"


LINKS_LEFT_OUT = [
    ("a mail address", "https://logs.example.com/?q=ana@example.com"),
    ("an encoded mail address", "https://logs.example.com/?q=ana%40example.com"),
    (
        "a mail address in an encoded link",
        "https://sso.example.com/?to=https%3A%2F%2Flogs%2F%3Fq%3Dana%2540example.com",
    ),
    ("what the operator names", "https://logs.example.com/?q=C-4711"),
    ("what the operator names, encoded", "https://logs.example.com/?q=%43%2D4711"),
    ("an encoded password", "https://logs.example.com/?q=password%3Dcanary4711"),
    ("more than anybody shows", "https://logs.example.com/?q=" + "x" * LONGEST),
]


@pytest.mark.parametrize("url", [row[1] for row in LINKS_LEFT_OUT], ids=[row[0] for row in LINKS_LEFT_OUT])
def test_a_link_that_holds_it_is_left_out_whole(url: str) -> None:
    change = Change("deploy", 1.0, url, url)
    told = REDACT(msgspec.structs.replace(STORIES["unpaid-bill"], logs_url=url, changes=(change,)))
    assert (told.logs_url, told.changes) == ("", (Change("deploy", 1.0),))


def test_a_field_is_cut_before_it_is_searched_and_no_secret_with_it() -> None:
    word = "sk_live_canary4711abcd"
    description = "a" * (LONGEST - 100) + f" {word}" * 100_000
    told = REDACT(msgspec.structs.replace(STORIES["unpaid-bill"], description=description, logs=("a" * LONGEST * 2,)))
    assert LONGEST - 200 < len(told.description) <= LONGEST + 1
    assert told.description.endswith("***…")
    assert "live" not in told.description
    assert told.logs == ("a" * LONGEST + "…",)


NO_PERSON = [
    "order 4111111111111112 is late",
    "at 2026-11-21T14:02:11Z, 1795269731.853 s",
    "16 lines a minute, 412 of 412 calls",
    "pod checkout-7d9f8b6c5d-x2x4z, image 1.42.0",
    "AB12 is no account, nor is DE00 8704 9044 9532 9131 97",
    "ip10 down here then fail over",
    "user@localhost",
]


@pytest.mark.parametrize("text", NO_PERSON)
def test_a_number_with_wrong_check_digits_stays(text: str) -> None:
    assert impersonal(text) == text

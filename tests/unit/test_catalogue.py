"""The catalogue and the general rules, measured on answers whose meaning is known."""

import json
from pathlib import Path

import pytest

from exporter import classify
from exporter.__main__ import COMMAND
from exporter.providers import catalogue
from exporter.providers.answer import Exchange
from exporter.providers.catalogue import Signature, Vendor
from exporter.providers.kinds import Kind
from exporter.providers.verdict import judge
from tests.unit.unseen import ROWS
from toolkit.configfile import ConfigError

VENDORS = list(catalogue.every())
CASES = [(vendor, signature) for vendor in VENDORS for signature in vendor.signatures if signature.example]
MONEY = {Kind.PAYMENT_REQUIRED, Kind.ACCOUNT_SUSPENDED}


def judged(signature: Signature, known: tuple[Signature, ...]) -> Kind:
    example = signature.example
    assert example is not None
    headers = {name.lower(): value for name, value in example.headers.items()}
    return judge(Exchange(example.status, example.body.encode(), headers), known).kind


@pytest.mark.parametrize(("vendor", "signature"), CASES, ids=[signature.id for _, signature in CASES])
def test_an_answer_is_read_as_its_signature_says(vendor: Vendor, signature: Signature) -> None:
    found = judged(signature, vendor.signatures)
    assert found == signature.verdict or found in signature.also_possible


def test_with_the_catalogue_nearly_all_verdicts_are_right_and_no_bill_is_invented() -> None:
    found = [(judged(signature, vendor.signatures), signature) for vendor, signature in CASES]
    assert sum(kind == signature.verdict for kind, signature in found) / len(found) >= 0.97
    assert [signature.id for kind, signature in found if invented(kind, signature)] == []


def test_without_a_vendors_own_signatures_the_general_rules_still_serve() -> None:
    found = [(judged(signature, ()), signature) for _, signature in CASES]
    assert sum(kind == signature.verdict for kind, signature in found) / len(found) >= 0.85
    assert len([signature.id for kind, signature in found if invented(kind, signature)]) <= 2


def invented(kind: Kind, signature: Signature) -> bool:
    """Whether money is blamed where the vendor means something else."""
    return kind in MONEY and signature.verdict not in MONEY and kind not in signature.also_possible


@pytest.mark.parametrize(
    ("vendor", "status", "body", "right"), ROWS, ids=[f"{row[0]} {row[1]} {row[2][:50]}" for row in ROWS]
)
def test_an_answer_that_the_catalogue_does_not_hold(
    vendor: str, status: int, body: str, right: tuple[str, ...]
) -> None:
    verdict = judge(Exchange(status, body.encode()), classify.signatures_of(vendor))
    assert verdict.kind in right, verdict.reason


def test_every_signature_says_why_and_whence() -> None:
    for _, signature in CASES:
        assert len(signature.why) >= 8
        assert signature.source


def test_an_unknown_vendor_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(KeyError, match="did you mean 'stripe'"):
        catalogue.load("strype")
    with pytest.raises(KeyError):
        catalogue.load("../catalogue/stripe")


def test_a_mistake_in_a_vendors_file_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "acme.yml").write_text(
        "vendor: acme\nsignatures:\n  - {id: acme-1, verdict: unpaid, when: {}, why: because it is}\n"
    )
    with pytest.raises(ConfigError, match=r"acme.yml:3:18: signatures\[0\].verdict: input should be 'ok'"):
        catalogue.load("acme", tmp_path)


def asked(**question: object) -> dict[str, str]:
    (verdict,) = classify.answers([json.dumps(question).encode()])
    return dict(classify.shown(verdict))


def test_classify_answers_a_line_with_a_line() -> None:
    told = asked(
        provider="stripe", response={"status": 402, "headers": {}, "body": '{"error": {"type": "card_error"}}'}
    )
    assert told["verdict"] == "not_account_problem"
    assert told["signature"] == "stripe-01"
    assert set(told) == {"verdict", "certainty", "reason", "signature"}


@pytest.mark.parametrize(
    ("history", "verdict"),
    [
        (None, "ambiguous"),
        (
            {"ever_ok": True, "credential_changed": False, "last_ok_age_seconds": 86400, "consecutive": 60},
            "payment_required",
        ),
        ({"ever_ok": True, "credential_changed": True}, "credentials_invalid"),
        ({"ever_ok": False}, "credentials_invalid"),
    ],
)
def test_classify_takes_the_history_into_account(history: dict[str, object] | None, verdict: str) -> None:
    question = {"provider": "nobody", "response": {"status": 401}, **({"history": history} if history else {})}
    assert asked(**question)["verdict"] == verdict


def test_classify_takes_a_body_that_is_json_as_it_is() -> None:
    assert (
        asked(response={"status": 403, "body": {"error": "Unauthorized", "message": "invoice overdue"}})["verdict"]
        == "payment_required"
    )


UNKNOWN = [
    ("one that is nearly right", "strype", "did you mean 'stripe'?"),
    ("one that is like no other", "nosuchthing", "tocsin-exporter vendors lists them"),
]


@pytest.mark.parametrize(("vendor", "hint"), [row[1:] for row in UNKNOWN], ids=[row[0] for row in UNKNOWN])
def test_a_vendor_that_is_not_known_is_noted_and_its_answer_judged(
    vendor: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert COMMAND.main(["classify", "--provider", vendor, "--status", "402"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["verdict"] == "payment_required"
    assert "judged by the general rules alone: " in told.err
    assert hint in told.err


def test_a_vendor_that_is_known_needs_no_note(capsys: pytest.CaptureFixture[str]) -> None:
    assert COMMAND.main(["classify", "--provider", "stripe", "--header", "Retry-After: 3", "--status", "402"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("header", ["Retry-After", ": 3", ""])
def test_a_header_that_is_none_is_refused(header: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        COMMAND.main(["classify", "--header", header, "--status", "402"])
    assert f"{header!r} is not NAME:VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("line", [b"hello", b"[]", b'{"provider": 3}', b'{"provider": "x"}', b"\xff"])
def test_a_line_that_is_no_question_is_named(line: bytes) -> None:
    with pytest.raises(classify.BadQuestion, match="line 2: "):
        list(classify.answers([b'{"response": {}}', line]))

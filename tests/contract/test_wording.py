"""The operator's words and redaction through the running receiver, and the commands that check and show them."""

from pathlib import Path

import pytest

from receiver.__main__ import COMMAND
from tests.contract.conftest import StartReceiver
from tests.contract.test_receiver import Sink, alert, config, post, settle, sink  # noqa: F401 - sink is a fixture

OWN = """
redact: ['customer-[0-9]+']
templates:
  - name: own
    targets: [inbox]
    title: "{{ alert | upper }}: {{ state }}"
    body: |
      Say {{ summary }}
      {% if service %}
      at {{ service }}
      {% endif %}
"""


async def test_messages_are_told_in_the_operators_words_without_what_may_not_leave(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
) -> None:
    client, receiver = await start_receiver(config(sink, OWN))
    await post(client, alert("Down", service="mails of customer-4711 to ana@example.com", severity="critical"))
    await settle(receiver, sink, 1)
    (message,) = sink.messages
    assert message["title"] == "DOWN: P1 FIRING"
    assert message["message"].splitlines()[:2] == ["Say Down it is", "at mails of *** to ***"]
    assert "customer-4711" not in str(message)
    assert "ana@example.com" not in str(message)


async def test_a_template_that_fails_only_now_costs_no_message(
    start_receiver: StartReceiver,
    sink: Sink,  # noqa: F811 - the fixture
) -> None:
    # every story has an owner, so `check` finds nothing wrong
    body = "{% if owner %}fine{% else %}{{ changes[0].what }}{% endif %}"
    client, receiver = await start_receiver(config(sink, f'templates: [{{name: own, body: "{body}"}}]\n'))
    await post(client, alert())
    await settle(receiver, sink, 1)
    assert sink.titles == ["[P2 FIRING] Down it is · 10:00 UTC"]
    assert "template own: line 1: UndefinedError" in sink.messages[0]["message"]


MISTAKES = """targets: [{name: inbox, url: "json://127.0.0.1:1/x"}]
redact: ["x*"]
templates:
  - name: own
    targets: [inbx]
    body: |
      fine
      {{ sumary }}
  - {name: own, title: x}
"""


def test_check_names_every_mistake_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "receiver.yml"
    file.write_text(MISTAKES)
    assert COMMAND.main(["check", "--config.file", str(file)]) == 1
    assert [line.removeprefix(f"{file}:") for line in capsys.readouterr().err.splitlines()] == [
        "2:10: redact[0]: this can match where there is nothing to mask: between letters, or at a line's end",
        "5:15: templates[0].targets[0]: no target is named 'inbx'; did you mean 'inbox'?",
        "6:5: templates[0].body: line 2: 'sumary' is not defined; did you mean 'summary'?",
        "9:6: templates[1].name: the name 'own' is used twice",
    ]


def preview(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert COMMAND.main(["preview", *arguments]) == 0
    return capsys.readouterr().out


def test_preview_shows_a_message_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    shown = preview(capsys, "unpaid-bill").splitlines()
    assert shown[0] == "[P1 FIRING] Mailgun subscription lapsed (402) · billing-api prod · 14:02 UTC"
    assert "Impact: 312 mails held back; invoices and sign-up mails stop; about 120 EUR an hour" in shown
    assert '"type": "header"' in preview(capsys, "unpaid-bill", "--channel", "slack")
    assert preview(capsys, "--moment", "resolved").startswith("[RESOLVED] Checkouts")


@pytest.mark.parametrize("channel", ["slack", "teams", "mail", "discord", "sms"])
def test_preview_writes_a_page(channel: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert preview(capsys, "slo-burn", "--channel", channel, "--html", str(page)) == f"wrote {page}\n"
    assert "Login burns its error budget" in page.read_text()


def test_preview_goes_by_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "receiver.yml"
    file.write_text(f'targets: [{{name: inbox, url: "json://127.0.0.1:1/x"}}]\n{OWN}')
    arguments = ["slo-burn", "--config.file", str(file)]
    assert preview(capsys, *arguments, "--target", "inbox").startswith("ERRORBUDGETBURN: P2 FIRING")
    assert preview(capsys, *arguments).startswith("[P2 FIRING]")  # it is for that target only
    assert COMMAND.main(["preview", *arguments, "--target", "inbx"]) == 1
    assert "no target is named 'inbx'; did you mean 'inbox'?" in capsys.readouterr().err

"""Messages whose every field was chosen by somebody who wants to ping, to forge or to break."""

import random
from typing import Any

from receiver.message import Change, Message
from tests.support.messages import PLAIN, message

PIECES = (
    *("<!channel>", "<!here|here>", "<!everyone>", "<@U0123ABCD>", "<@W0123ABCD>", "<!subteam^S0123ABCD|oncall>"),
    *(
        "@channel",
        "@here",
        "@everyone",
        "@EVERYONE",
        "&lt;!channel&gt;",
        "\\<!here\\>",
        "<!chan\u200bnel>",
        "<#C0123ABCD>",
    ),
    *(
        "<https://evil.example|pay here>",
        "https://evil.example/<!channel>",
        "https://x.example/?a=1&b=2",
        "[x](javascript:1)",
    ),
    *(
        "*bold*",
        "_slanted_",
        "~gone~",
        "`code`",
        "```",
        "> quoted",
        ":rotating_light:",
        "{{ 7 * 7 }}",
        "%s",
        "$(reboot)",
    ),
    *(
        "\x00",
        "\x1b[2J",
        "\r\n",
        "\n\n\n",
        "\t",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
        "a\u0301" * 40,
        "👩‍👩‍👧‍👦",
        "\U0001d54f" * 30,
    ),
    *("&" * 200, "<" * 200, ">" * 200, "|" * 50, '"' * 50, "\\" * 50, "ß" * 300, "漢字" * 100, "x" * 5000, " " * 300),
    *("null", "", " ", "-", "{}", '{"type":"header"}', "0", "İ" * 60, "\ud7ff", "\ufffd\uffff"),
)
LINKS = (
    *("", "https://x.example/a?b=1&c=%3C!channel%3E", "https://x.example/<!channel>", "javascript:alert(1)"),
    *("https://x.example/" + "a" * 4000, "http://", "https://x.example/a b", "https://x.example/|x>y", "//x.example"),
    *("https://x.example/@channel", "https://[::1", "ftp://x.example/", "https://x.example/\n<!here>", "slack://x"),
)


class Villain:
    """Chooses by chance, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def words(self) -> str:
        """A few pieces, or very many."""
        count = self.chance.choice((0, 1, 1, 2, 3, 8, 60))
        return self.chance.choice(("", " ", "")).join(self.chance.choices(PIECES, k=count))

    def many(self, most: int) -> tuple[str, ...]:
        """Up to `most` of them."""
        return tuple(self.words() for _ in range(self.chance.choice((0, 1, 3, most))))

    def link(self) -> str:
        """An address, or none."""
        return self.chance.choice(LINKS)

    def message(self, incident: int, revision: int, **fields: Any) -> Message:
        """A notice of this incident."""
        return message(
            incident=incident,
            revision=revision,
            incident_url=f"http://receiver/v1/incidents/{incident}",
            **{**{name: self.words() for name in TEXTS}, **{name: self.link() for name in ADDRESSES}},
            changes=tuple(Change(self.words(), PLAIN.since, self.link(), self.link()) for _ in range(3)),
            **{name: self.many(40) for name in LISTS},
            severity=self.chance.choice(("info", "warning", "critical")),
            priority=self.chance.choice(("", "P1", "P4")),
            firing_count=self.chance.choice((0, 1, 10**9)),
            **fields,
        )


TEXTS = (
    *("alert", "summary", "description", "service", "environment", "owner", "rank", "cause"),
    *("spread", "kind", "measured", "normal", "factor", "sparkline", "impact", "impact_measured", "pays", "history"),
    *("vendor_status", "on_call", "next_step", "note", "fallback", "stands_in"),
)
LISTS = ("related", "logs", "first_steps", "absent")
ADDRESSES = (*("runbook_url", "query_url", "dashboard_url", "logs_url", "trace_url", "silence_url", "acknowledge_url"),)

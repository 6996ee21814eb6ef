"""`make golden`: writes what each channel makes of the stories into tests/golden/, a folder a channel.

python -m tests.support.golden
"""

import json
from pathlib import Path
from typing import Any

from receiver.message import Message
from receiver.notifiers import blocks
from receiver.notifiers.render import CHANNELS
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.words import words
from tests.support.stack import ROOT
from tests.support.stories import MOMENTS

GOLDEN = ROOT / "tests" / "golden"


def shown(rendered: Rendered) -> str:
    """Everything that a channel is handed, to be read and compared; of a picture only that it is there."""
    parts = [f"title: {rendered.title}", f"format: {rendered.format}", f"event: {rendered.event}"]
    parts += [f"attached: {one.name} ({one.mimetype})" for one in rendered.attachments]
    parts += [f"header: {name}: {value}" for name, value in rendered.headers.items()]
    parts += [f"parameter: {name}={value}" for name, value in rendered.parameters.items()]
    parts += ["", rendered.body]
    if rendered.native is not None:
        parts += ["", "native:", _json(rendered.native)]
    return "\n".join(parts) + "\n"


def slack_bot(message: Message) -> str:
    """What the bot posts, and what it adds in the thread."""
    return f"{_json(blocks.blocks(message))}\n\nthread:\n{_json(blocks.details(message))}\n"


def _json(value: Any) -> str:
    def short(one: Any) -> Any:
        if isinstance(one, dict):
            return {name: short(held) for name, held in one.items()}
        if isinstance(one, list | tuple):
            return [short(held) for held in one]
        return "data:image/png;base64,..." if isinstance(one, str) and one.startswith("data:image/png") else one

    return json.dumps(short(value), indent=1, ensure_ascii=False)


def texts() -> dict[Path, str]:
    """Every golden file with what should stand in it."""
    found = {
        GOLDEN / channel / f"{name}.txt": shown(render(message, words(message)))
        for channel, render in CHANNELS.items()
        for name, message in MOMENTS.items()
    }
    return found | {GOLDEN / "slack-bot" / f"{name}.txt": slack_bot(message) for name, message in MOMENTS.items()}


def main() -> None:
    wanted = texts()
    for path in sorted(GOLDEN.rglob("*.txt")):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f"wrote {len(wanted)} files below {GOLDEN}")


if __name__ == "__main__":
    main()

"""A Slack webhook: Block Kit with links for buttons, since a press would report to nobody. Pure."""

from receiver.message import Message
from receiver.notifiers import blocks
from receiver.notifiers.channels import text
from receiver.notifiers.rendered import Rendered


def render(message: Message, may_repeat: bool = False) -> Rendered:
    """`native` for webhooks; title and body are plain text, for workflows and for bots of Apprise's own plugin."""
    native = blocks.blocks(message, may_repeat, interactive=False)
    spoken = text.render(message, may_repeat, blocks.SECTION_LIMIT)
    return Rendered(spoken.title, spoken.body, native=native)

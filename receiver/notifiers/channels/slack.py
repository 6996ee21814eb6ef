"""A Slack webhook: Block Kit with links for buttons, since a press would report to nobody. Pure."""

from receiver.message import Message
from receiver.notifiers import blocks
from receiver.notifiers.channels import text
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.words import Words


def render(message: Message, said: Words) -> Rendered:
    """`native` for webhooks; title and body are plain text, for workflows and for bots of Apprise's own plugin."""
    native = blocks.blocks(message, said=said, interactive=False)
    spoken = text.render(said, blocks.SECTION_LIMIT)
    return Rendered(spoken.title, spoken.body, native=native)

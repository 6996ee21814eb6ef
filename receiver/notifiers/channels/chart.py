"""The chart of a message as a file."""

from receiver.message import Message
from receiver.notifiers.rendered import Attachment

NAME = "chart.png"


def chart(message: Message) -> tuple[Attachment, ...]:
    """Nothing where the message has none, or has ended: a chart of the trouble would be a stale one."""
    if not message.chart or message.status == "resolved":
        return ()
    return (Attachment(NAME, message.chart, "image/png"),)

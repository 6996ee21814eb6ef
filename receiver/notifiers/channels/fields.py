"""json://: the text, and beside it every field of the message under the key `incident`, for programs. Pure."""

import msgspec

from receiver.message import Message
from receiver.notifiers.channels import text
from receiver.notifiers.channels.chart import chart
from receiver.notifiers.rendered import Rendered
from receiver.notifiers.words import Words


def render(message: Message, said: Words) -> Rendered:
    """`native`: `{"incident": {...}}`, the fields as they are named in Message; the chart is attached instead."""
    spoken = text.render(said)
    fields = msgspec.to_builtins(msgspec.structs.replace(message, chart=b""))
    del fields["chart"]
    native = {"incident": {**fields, "key": message.key}}
    return Rendered(spoken.title, spoken.body, attachments=chart(message), native=native)

"""Other people's envelopes -> events: Segment's calls and CloudEvents. Pure.

Segment: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/ ; CloudEvents 1.0:
https://github.com/cloudevents/spec (JSON format, HTTP binding). What is inside becomes the event's fields; of the
envelope it gets a few by fixed names. A delivery's idempotency key is made of the ids that both specifications ask
senders to keep when they send again.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec


class Unreadable(Exception):
    """The body is no such envelope. The message says why."""


@dataclass(frozen=True)
class Unwrapped:
    """Events as JSON, one each, and the key by which the delivery is known when it comes again ("" if it has none)."""

    records: Sequence[bytes]
    key: str


def segment(body: bytes, call: str) -> Unwrapped:
    """What a call of Segment's HTTP API holds: `track`, `identify` and its kin, or `batch` of them.

    A `track` is the event that it names, with its `properties`; any other call is an event named like the call, with
    its `traits` or `properties`. Beside them: `user_id`, `anonymous_id`, `timestamp`. Raises Unreadable.
    """
    message = _object(body)
    if call != "batch":
        messages: list[Any] = [{"type": call, **message}]
    else:
        messages = message.get("batch") if isinstance(message.get("batch"), list) else []  # type: ignore[assignment]  # checked
        if not messages:
            raise Unreadable("a batch has its messages in 'batch', a list that is not empty")
    if not all(isinstance(one, dict) for one in messages):
        raise Unreadable("a message is no JSON object")
    return Unwrapped([_encoded(_segment(one)) for one in messages], _key(one.get("messageId") for one in messages))


def _segment(message: Mapping[str, Any]) -> dict[str, Any]:
    call = str(message.get("type", ""))
    inside = message.get("traits") if call in ("identify", "group") else message.get("properties")
    fields = dict(inside) if isinstance(inside, dict) else {}
    for name, field in (("userId", "user_id"), ("anonymousId", "anonymous_id"), ("timestamp", "timestamp")):
        if name in message:
            fields[field] = message[name]
    return {**fields, "event": message.get("event") if call == "track" else call}


def cloudevents(body: bytes, content_type: str, headers: Mapping[str, str]) -> Unwrapped | None:
    """What CloudEvents holds: structured, a batch, or binary (its attributes in `ce-` headers); None for what is none.

    The event is named by `type` and has the fields of `data`, beside `time`, `source` and `subject` of the envelope
    where `data` has none of that name. Raises Unreadable.
    """
    if content_type == "application/cloudevents-batch+json":
        messages = _decoded(body)
        if not isinstance(messages, list):
            raise Unreadable("a batch of CloudEvents is a JSON array")
    elif content_type == "application/cloudevents+json":
        messages = [_object(body)]
    elif "ce-type" in headers and "ce-specversion" in headers:
        attributes = {name[3:]: value for name, value in headers.items() if name.startswith("ce-")}
        messages = [{**attributes, "data": _decoded(body) if body.strip() else {}}]
    else:
        return None
    if not all(isinstance(one, dict) for one in messages):
        raise Unreadable("a CloudEvent is no JSON object")
    ids = [f"{one['source']}\n{one['id']}" if "source" in one and "id" in one else None for one in messages]
    return Unwrapped([_encoded(_cloudevent(one)) for one in messages], _key(ids))


def _cloudevent(message: Mapping[str, Any]) -> dict[str, Any]:
    envelope = {name: message[name] for name in ("time", "source", "subject") if name in message}
    data = message.get("data")
    return {**envelope, **(data if isinstance(data, dict) else {}), "event": message.get("type")}


def _key(ids: Iterable[object]) -> str:
    known = list(ids)
    if not known or not all(isinstance(one, str) and one for one in known):
        return ""
    return hashlib.sha256("\0".join(map(str, known)).encode(errors="replace")).hexdigest()


def _object(body: bytes) -> dict[str, Any]:
    found = _decoded(body)
    if not isinstance(found, dict):
        raise Unreadable("the body is no JSON object")
    return found


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"not JSON: {error}") from None
    except RecursionError:
        raise Unreadable("not JSON: nested too deeply") from None


def _encoded(event: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(event)
    except UnicodeEncodeError:
        raise Unreadable("a header is no text") from None

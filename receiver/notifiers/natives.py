"""Plugins of Apprise that take the JSON of their service ready-made, where it shows more than a title and a body do.

What the operator says in the URL stays in force: a plugin with a template of theirs, or in another mode, sends as ever.
"""

from collections.abc import Mapping
from typing import Any

import requests
from apprise import NotifyBase, NotifyFormat, NotifyType
from apprise.attachment.base import AttachBase
from apprise.manager_plugins import NotificationManager
from apprise.plugins.custom_json import NotifyJSON
from apprise.plugins.discord import NotifyDiscord
from apprise.plugins.email import NotifyEmail
from apprise.plugins.opsgenie import OpsgenieAlertAction
from apprise.plugins.pagerduty import PAGERDUTY_API_LOOKUP, NotifyPagerDuty
from apprise.plugins.slack import NotifySlack, SlackMode
from apprise.plugins.workflows import NotifyWorkflows

from receiver.notifiers.opsgenie import OpsgenieByAlias
from receiver.notifiers.rendered import Rendered

Native = Mapping[str, Any]
_KEPT = ("channel", "thread_ts", "username", "icon_url")
"""What the operator's URL says of a Slack message."""


class NativeSlack(NotifySlack):
    """A webhook is sent blocks."""

    native: Native | None = None

    def _send(self, url: str, payload: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        if self.native is not None and self.mode in (SlackMode.WEBHOOK, SlackMode.WEBHOOK_GOV) and not self.template:
            payload = {name: value for name, value in payload.items() if name in _KEPT} | dict(self.native)
        return super()._send(url, payload, *arguments, **options)  # type: ignore[no-untyped-call]  # Apprise's


class NativeWorkflows(NotifyWorkflows):
    """Teams is sent a card of ours."""

    native: Native | None = None

    def gen_payload(self, *arguments: Any, **options: Any) -> Any:
        """The message with its card."""
        if self.native is None or self.template:
            return super().gen_payload(*arguments, **options)  # type: ignore[no-untyped-call]  # Apprise's
        return dict(self.native)


class NativeDiscord(NotifyDiscord):
    """An embed, with the chart in it: one message where Apprise would send the file as a second."""

    native: Native | None = None

    def send(
        self,
        body: str,
        title: str = "",
        notify_type: NotifyType = NotifyType.INFO,
        attach: list[AttachBase] | None = None,
        body_format: NotifyFormat | None = None,
        **options: Any,
    ) -> bool:
        """Whether Discord took it."""
        if self.native is None or self.template:
            return super().send(body, title, notify_type, attach, body_format, **options)
        payload: dict[str, Any] = {**self.native, "tts": self.tts, "wait": True}
        if self.ping:  # the operator's own choice, and the only mentions that there are
            pinged = self.ping_payload(" ".join(self.ping))
            named = pinged.get("allow_mentions", {})
            payload["allowed_mentions"] = {**named, "parse": ["everyone"] if named.get("parse") else []}
            payload["content"] += f"\n{pinged.get('content', '')}".rstrip()
        payload |= {"username": self.user} if self.user else {}
        payload |= {"flags": self.flags} if self.flags else {}
        params = {"thread_id": self.thread_id} if self.thread_id else None
        return self._send(payload, attach=attach, params=params)


class NativePagerDuty(NotifyPagerDuty):
    """An event with its details, that can be acknowledged too."""

    native: Native | None = None

    def send(self, body: str, title: str = "", notify_type: NotifyType = NotifyType.INFO, **options: Any) -> bool:
        """Whether PagerDuty took it."""
        # with another action in the URL the operator wants something of their own
        if self.native is None or self.action != "map":
            return super().send(body, title, notify_type, **options)
        event = {**self.native, "routing_key": self.integration_key, "client": self.app_id}
        if self.dedup:
            event["dedup_key"] = self.dedup
        if "payload" in event:
            event["payload"] = {**event["payload"], **self._chosen()}
        return self._post(event)

    def _chosen(self) -> dict[str, Any]:
        """What the URL says of the event."""
        found = {"severity": self.severity, "group": self.group, "class": self.class_id}
        chosen = {name: value for name, value in found.items() if value}
        given = self.native["payload"].get("custom_details", {}) if self.native is not None else {}
        return {**chosen, "custom_details": {**given, **self.details}}

    def _post(self, event: dict[str, Any]) -> bool:
        self.throttle()  # type: ignore[no-untyped-call]  # Apprise's
        try:
            answer = requests.post(
                PAGERDUTY_API_LOOKUP[self.region_name],
                json=event,
                headers={"User-Agent": self.app_id, "Authorization": f"Token token={self.apikey}"},
                verify=self.verify_certificate,
                timeout=self.request_timeout,
                allow_redirects=self.redirects,
            )
        except requests.RequestException:
            return False
        return answer.ok


NATIVES = (NativeSlack, NativeWorkflows, NativeDiscord, NativePagerDuty)


def install() -> None:
    """Puts them in the place of Apprise's own, for this process."""
    for plugin in NATIVES:
        NotificationManager().add(plugin, force=True)


def equip(service: NotifyBase, rendered: Rendered) -> None:
    """Gives a plugin what Apprise's notify() has no argument for."""
    native = dict(rendered.native or {})
    if isinstance(service, NATIVES) and rendered.native is not None:
        service.native = rendered.native
    elif isinstance(service, NotifyJSON):
        service.payload_extras.update(
            {name: value for name, value in native.items() if name not in service.payload_extras}
        )
    elif isinstance(service, OpsgenieByAlias):
        _equip_opsgenie(service, rendered, native)
    elif isinstance(service, NotifyEmail):
        service.headers = {**rendered.headers, **service.headers}
        service.inline = True


def _equip_opsgenie(service: OpsgenieByAlias, rendered: Rendered, native: dict[str, Any]) -> None:
    service.details = {**native.get("details", {}), **service.details}
    service.entity = service.entity or native.get("entity")
    if rendered.event == "acknowledge" and service.action == OpsgenieAlertAction.MAP:
        service.action = OpsgenieAlertAction.ACKNOWLEDGE

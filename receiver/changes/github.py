"""GitHub's events `deployment` and `deployment_status`. Pure.

A deployment and what became of it are one change: whichever is told first counts. So who deploys only after an approval
has GitHub send `deployment_status` alone. What is under way or was taken over by a later one is no change.
"""

from urllib.parse import quote

import msgspec

from receiver.changes.change import ChangeError, Ignored, Post, ToldChange, instant

_ENDS = {"success": "", "failure": " (failed)", "error": " (failed)"}
"""The states that end a deployment, and what the title says of them."""
_SHORT = 7
"""Digits of a commit that people read."""


class _User(msgspec.Struct):
    login: str = ""


class _Deployment(msgspec.Struct):
    id: int
    created_at: str
    sha: str = ""
    ref: str = ""
    environment: str = ""
    creator: _User | None = None


class _Status(msgspec.Struct):
    state: str
    created_at: str
    log_url: str | None = None
    target_url: str | None = None
    creator: _User | None = None


class _Repository(msgspec.Struct):
    name: str
    full_name: str
    html_url: str = ""


class _Created(msgspec.Struct):
    deployment: _Deployment
    repository: _Repository


class _Ended(msgspec.Struct):
    deployment: _Deployment
    deployment_status: _Status
    repository: _Repository


_created = msgspec.json.Decoder(_Created)
_ended = msgspec.json.Decoder(_Ended)


def read(post: Post) -> tuple[ToldChange, ...] | Ignored:
    """The deployment that an event tells of. Raises ChangeError or msgspec.DecodeError."""
    if post.body.startswith(b"payload="):
        raise ChangeError("this is a form: let GitHub's webhook send the content type application/json")
    if post.event == "deployment":
        body = _created.decode(post.body)
        at = instant(body.deployment.created_at, "deployment.created_at")
        return (_told(post, body.deployment, body.repository, at),)
    if post.event != "deployment_status":
        return Ignored(f"the event '{post.event[:40]}' is no deployment")
    return _status(post, _ended.decode(post.body))


def _status(post: Post, body: _Ended) -> tuple[ToldChange, ...] | Ignored:
    status = body.deployment_status
    if status.state not in _ENDS:
        return Ignored(f"a deployment that is '{status.state[:40]}' has not ended")
    at = instant(status.created_at, "deployment_status.created_at")
    link = status.log_url or status.target_url or ""
    return (_told(post, body.deployment, body.repository, at, _ENDS[status.state], link),)


def _told(
    post: Post, deployment: _Deployment, repository: _Repository, at: float, end: str = "", link: str = ""
) -> ToldChange:
    commit = deployment.sha[:_SHORT]
    named = deployment.ref and not deployment.ref.startswith(commit or deployment.ref)
    page = repository.html_url
    return ToldChange(
        source="github",
        key=f"{repository.full_name} {deployment.id}",
        at=at,
        kind="deploy",
        title=(f"{deployment.ref} ({commit})" if named else commit or deployment.ref or "unnamed") + end,
        service=post.service or repository.name,
        environment=post.environment or deployment.environment,
        author=deployment.creator.login if deployment.creator else "",
        url=link or (f"{page}/commit/{deployment.sha}" if page and deployment.sha else page),
        undo_url=f"{page}/deployments/{quote(deployment.environment, safe='')}" if page else "",
    )

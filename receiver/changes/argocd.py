"""Argo CD's notifications, in the words of the template in docs/operations.md. Pure."""

import msgspec

from receiver.changes.change import Ignored, Post, ToldChange, instant

_ENDS = {"Succeeded": "", "Failed": " (failed)", "Error": " (failed)"}
"""The phases that end a sync, and what the title says of them."""
_SHORT = 7


class _Initiator(msgspec.Struct):
    username: str = ""
    automated: bool = False


class _Sync(msgspec.Struct):
    app: str
    phase: str
    finished_at: str | None = None
    revision: str | None = None
    revisions: list[str] | None = None
    initiated_by: _Initiator | None = None
    service: str = ""
    environment: str = ""
    url: str = ""
    undo_url: str = ""


_sync = msgspec.json.Decoder(_Sync)


def read(post: Post) -> tuple[ToldChange, ...] | Ignored:
    """The sync that a notification tells of. Raises ChangeError or msgspec.DecodeError."""
    sync = _sync.decode(post.body)
    if sync.phase not in _ENDS or not sync.finished_at:
        return Ignored(f"a sync that is '{sync.phase[:40]}' has not ended")
    revisions = [sync.revision] if sync.revision else sync.revisions or []
    return (
        ToldChange(
            source="argocd",
            # the same revision may be deployed again later: a rollback is a change too
            key=f"{sync.app} {sync.finished_at} {' '.join(revisions)}",
            at=instant(sync.finished_at, "finished_at"),
            kind="deploy",
            title=", ".join(map(_short, revisions)) + _ENDS[sync.phase] or "synced",
            service=post.service or sync.service or sync.app,
            environment=post.environment or sync.environment,
            author=_author(sync.initiated_by),
            url=sync.url,
            undo_url=sync.undo_url,
        ),
    )


def _short(revision: str) -> str:
    """A commit's first digits; a tag or a chart's version whole."""
    is_commit = len(revision) == 40 and all(digit in "0123456789abcdef" for digit in revision)
    return revision[:_SHORT] if is_commit else revision


def _author(initiator: _Initiator | None) -> str:
    if initiator is None:
        return ""
    return initiator.username or ("Argo CD" if initiator.automated else "")

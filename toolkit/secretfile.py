"""Secrets live in files and are read when used, as Prometheus does with `credentials_file`."""

from dataclasses import dataclass
from pathlib import Path


class SecretUnreadable(Exception):
    """The secret's file is missing, unreadable or empty. The message names the file, never its content."""


@dataclass(frozen=True)
class SecretFile:
    """Where a secret is. Its repr shows the path only."""

    path: Path

    def read(self) -> str:
        """The secret without surrounding white space. Raises SecretUnreadable."""
        try:
            secret = self.path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise SecretUnreadable(f"secret file {self.path}: {reason}") from None
        if not secret:
            raise SecretUnreadable(f"secret file {self.path}: is empty")
        return secret

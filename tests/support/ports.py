"""Free ports on 127.0.0.1 for processes that tests are about to start."""

import fcntl
import itertools
import os
import random
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 10_000, 32_000
_LOCKS = Path(tempfile.gettempdir()) / "tocsin-test-ports"
_held: list[int] = []
"""The locks of the ports that this process gave, open until it ends."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on and that no other test process is given while this one lives.

    A port that the kernel gives (bind to 0) may be given again, to any connection of anybody, before the process that is
    to listen there has started: with six workers at it, one stack met another's exporter. So these are below the kernel's
    own range (32768 and up on Linux), and each is locked by a file of its own, across workers and test runs.
    """
    _LOCKS.mkdir(mode=0o777, exist_ok=True)
    start = random.randrange(FIRST, LAST)
    found: list[int] = []
    for port in itertools.chain(range(start, LAST), range(FIRST, start)):
        if _is_free(port) and _lock(port):
            found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError(f"only {len(found)} of {count} free ports found on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _lock(port: int) -> bool:
    try:
        lock = os.open(_LOCKS / str(port), os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        return False  # another user's
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _held.append(lock)
    return True

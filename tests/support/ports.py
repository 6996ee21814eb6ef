"""Free ports on 127.0.0.1 for processes that tests are about to start."""

import itertools
import os
import socket

WORKER_PORTS = 1000
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
_candidates = itertools.cycle(range(10_000 + _worker * WORKER_PORTS, 10_000 + (_worker + 1) * WORKER_PORTS))


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 for processes that are yet to start.

    A port that the kernel gives (bind to 0) may be given again, to any connection of anybody, before the process that is
    to listen there has started: with six workers at it, one stack met another's exporter. So these are below the kernel's
    own range (32768 and up on Linux), each test worker has its own thousand, and none comes again before all have.
    """
    found: list[int] = []
    for port in itertools.islice(_candidates, WORKER_PORTS):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"only {len(found)} of {count} free ports found on 127.0.0.1 for test worker {_worker}")

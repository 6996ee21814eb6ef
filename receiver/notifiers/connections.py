"""Ends a send that outlasts its time.

A thread can't be stopped from outside, and the timeouts of a socket begin anew with each byte: a sink that drips would
hold its thread for ever. So each connection that a send opens is noted, and shut down when the time is over; whatever
reads from it then ends with an error.
"""

import contextlib
import contextvars
import functools
import socket
import threading
from typing import Any

from urllib3.util import connection as urllib3_connection


class Connections:
    """The connections of one send. Used by its thread and by the one that ends it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: list[socket.socket] = []
        self._is_cut = False

    def note(self, opened: socket.socket) -> None:
        """Remembers a connection; shuts it down at once when the time is over already."""
        with self._lock:
            # a copy: with TLS the socket itself is taken over by another object
            self._noted.append(opened.dup())
            if self._is_cut:
                _shut(opened)

    def cut(self) -> None:
        """Shuts every connection down, and those to come."""
        with self._lock:
            self._is_cut = True
            for one in self._noted:
                _shut(one)

    def close(self) -> None:
        """Forgets them. They stay open where somebody else has them."""
        with self._lock:
            for one in self._noted:
                one.close()
            self._noted.clear()


_current: contextvars.ContextVar[Connections | None] = contextvars.ContextVar("connections", default=None)


def follow(connections: Connections) -> None:
    """From now on the connections that this thread opens are noted in `connections`."""
    _current.set(connections)


def install() -> None:
    """Wraps the place where requests opens its connections, once a process."""
    original = urllib3_connection.create_connection
    if getattr(original, "_tocsin", False):
        return

    @functools.wraps(original)
    def create_connection(*arguments: Any, **options: Any) -> socket.socket:
        opened = original(*arguments, **options)
        connections = _current.get()
        if connections is not None:
            connections.note(opened)
        return opened

    create_connection._tocsin = True  # type: ignore[attr-defined]  # the mark that says it is already wrapped
    urllib3_connection.create_connection = create_connection


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other end may have closed it
        one.shutdown(socket.SHUT_RDWR)

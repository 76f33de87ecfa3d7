"""The deadline of one try over urllib3, which only knows a timeout for each single read.

Theory of operation
===================

A server that sends a byte now and then never meets a timeout of one read. So a timer shuts the try's sockets down when
the deadline passes, whatever the try does at that moment: it opens a tunnel, sends, waits for headers or reads a body.
The read or write that is under way then fails, or ends as if the server had closed the connection.

- A ``WatchedConnection`` or ``WatchedTlsConnection`` reports its socket when it is made and each time that it is used.
  ``Deadline`` keeps a duplicate of the socket, because TLS takes the original one away. To shut down one shuts down
  both.
- ``passed`` must be looked at after each read: a body that ends with the connection would look complete.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

from airflow_provider_databrain.client.errors import TransportError, too_slow

_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)
"""The deadline of the try that now uses a connection in this thread."""


class Deadline:
    """The deadline of one try. Close it at the end of the try.

    :param seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.passed = False
        """Whether the sockets were shut down."""
        self._timer = self._start(seconds)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Watch the connections that are used inside, and raise the deadline's error if it passes.

        :raises TransportError: the deadline has passed.
        """
        token = _current.set(self)
        try:
            yield
        except Exception:
            self.check()
            raise
        finally:
            _current.reset(token)
        self.check()

    def check(self) -> None:
        """Raise the deadline's error if it has passed. What was read until then may be cut.

        :raises TransportError: the deadline has passed.
        """
        if self.passed:
            raise self.error() from None

    def extend(self, seconds: float) -> None:
        """Begin again with another number of seconds."""
        self._timer.cancel()
        self._seconds = seconds
        self._timer = self._start(seconds)

    def error(self) -> TransportError:
        """The error of a try whose deadline has passed."""
        return too_slow(self._seconds)

    def watch(self, connection: socket.socket) -> None:
        """Shut this socket down, too, when the deadline passes."""
        with self._lock:
            twin = socket.socket(fileno=os.dup(connection.fileno()))
            self._sockets.append(twin)
            if self.passed:
                _shut(twin)

    def close(self) -> None:
        """Forget the sockets; they stay open."""
        self._timer.cancel()
        with self._lock:
            for twin in self._sockets:
                twin.close()
            self._sockets.clear()

    def _start(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._pass)
        timer.daemon = True
        timer.start()
        return timer

    def _pass(self) -> None:
        with self._lock:
            self.passed = True
            for twin in self._sockets:
                _shut(twin)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _watch(connection: Any) -> None:
    deadline = _current.get()
    if deadline is not None and isinstance(connection, socket.socket):
        deadline.watch(connection)


class WatchedConnection(HTTPConnection):
    """A connection that reports its socket to the deadline of the try that uses it."""

    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        _watch(made)
        return made

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request, perhaps on a connection that an earlier try has made."""
        _watch(self.sock)
        super().request(*args, **kwargs)


class WatchedTlsConnection(WatchedConnection, HTTPSConnection):
    """The same over TLS."""

"""An emulated PostHog that looks after each request at what its shared pages show."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_databrain.emulator.server import Emulator

EMPTY: dict[str, Any] = {"variables": {}, "filters": {}, "breakdown_colors": []}
"""The fields that select the data of a tenant, or name it, as they are when nothing is asked for."""
WATCHED = tuple(EMPTY)
Owner = Callable[[Mapping[str, Any]], str | None]
"""Returns whose dashboard this is, from its fields; None if nothing says that."""
_SHARED = """
SELECT d.id, d.fields FROM posthog_dashboards d WHERE NOT d.deleted AND EXISTS (
    SELECT 1 FROM posthog_shares s WHERE s.dashboard_id = d.id AND s.enabled)
"""


class Watcher:
    """Checks that each shared dashboard shows what is its own tenant's.

    :param path: the emulator's SQLite file.
    """

    def __init__(self, path: Path) -> None:
        # The emulator's thread uses it.
        self._database = sqlite3.connect(path, check_same_thread=False)
        self.watch(lambda fields: None, {})

    def watch(self, owner: Owner, allowed: Mapping[str, list[dict[str, Any]]]) -> None:
        """Begin again.

        :param allowed: for each tenant, what its page may show: the values of ``WATCHED``. Before and after a change of
            the tenant's row these are two.
        """
        self._owner = owner
        self._allowed = allowed
        self._good: dict[int, str] = {}
        self.faults: list[str] = []
        self.pages = 0
        """The number of different pages that were looked at."""

    def look(self, after: str) -> None:
        """Check all shared dashboards. ``after`` says what has just happened."""
        for key, text in self._database.execute(_SHARED).fetchall():
            if self._good.get(key) == text:
                continue
            self.pages += 1
            self._good[key] = text
            fields = json.loads(text)
            tenant = self._owner(fields)
            shown = {name: fields[name] for name in WATCHED}
            if tenant is None or shown not in self._allowed[tenant]:
                whose = f"tenant {tenant}" if tenant else "nobody"
                self.faults.append(f"page: of {whose}, dashboard {key}, after {after}: it shows {shown}")

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class _Watched:
    """An application and its watcher, which looks after each request, whatever happened to the answer."""

    def __init__(self, app: ASGIApp, watcher: Watcher) -> None:
        self._app = app
        self._watcher = watcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "http":
                self._watcher.look(f"{scope['method']} {scope['path']}")


class WatchedEmulator(Emulator):
    """An emulator with a watcher, without measured coverage: it answers very many requests.

    :param path: the SQLite file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.watcher = Watcher(path)
        self.server.config.app = _Watched(self.server.config.app, self.watcher)  # type: ignore[arg-type] # for uvicorn it may be a name too

    def __enter__(self) -> WatchedEmulator:
        super().__enter__()
        return self

    def serve(self) -> None:
        """Serve in this thread until ended."""
        sys.settrace(None)
        with closing(self.watcher):
            super().serve()

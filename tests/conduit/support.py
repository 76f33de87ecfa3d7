"""The emulated Conduit with its faults, and connections to it."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

import pytest
import requests

from airflow_provider_databrain.client.server import Server
from airflow_provider_databrain.conduit.api import ORGANIZATION_TOKEN
from airflow_provider_databrain.emulator.conduit import ConduitBehaviour
from airflow_provider_databrain.emulator.faults import Behaviour
from airflow_provider_databrain.emulator.server import Emulator

TOKEN = "organization-token-0123456789"
_FRIENDLY = [
    pytest.param(ConduitBehaviour(), id="201 and 204"),
    pytest.param(
        ConduitBehaviour(created_status=200, disabled_status=200, unique_ext_id=True, needs_slash=True),
        id="200, ext_id unique, slash needed",
    ),
]
_UNFRIENDLY = [
    pytest.param(
        ConduitBehaviour(
            created_status=202,
            created_body="more",
            disabled_status=202,
            unique_ext_id=True,
            taken_status=409,
            error_body="empty",
            order="random",
            lists_organization=True,
            lists_disabled=True,
            disables_again=True,
            new_urls=True,
        ),
        id="202, lists in any order, errors without a body",
    ),
    pytest.param(
        ConduitBehaviour(
            created_body="empty",
            unique_ext_id=True,
            keeps_ext_id=True,
            taken_status=422,
            error_body="detail",
            order="newest",
        ),
        id="creates without a body",
    ),
]
BEHAVIOURS = pytest.mark.parametrize("behaviour", _FRIENDLY)
"""Both behaviours for the questions that decide what one call answers."""
ALL_BEHAVIOURS = pytest.mark.parametrize("behaviour", [*_FRIENDLY, *_UNFRIENDLY])
"""Also the unfriendly answers to each question that the reference leaves open."""
UNFRIENDLY = pytest.mark.parametrize("behaviour", _UNFRIENDLY)


class Conduit:
    """The Conduit part of a running emulator. Use it as a context manager.

    :param path: SQLite file of its state.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self._emulator = Emulator(path, conduit_token=TOKEN)
        self.state = self._emulator.conduit
        self.control = self._emulator.control
        self.url = f"{self._emulator.url}/v2"

    @property
    def calls(self) -> list[str]:
        """The calls so far: how often each came, its method and its path."""
        found = [(method, path.removeprefix("/v2"), n) for (method, path), n in self.control.arrived.items()]
        return [f"{n} {method} {path}" for method, path, n in found]

    def clones(self) -> dict[str, tuple[str, str]]:
        """``ext_id`` to the ids of clone and workspace, if each ``ext_id`` has one workspace with one clone."""
        found: dict[str, tuple[str, str]] = {}
        for row in self.state.workspaces():
            [clone] = self.state.dashboards(row.id)
            assert (clone.name, clone.cloned_from) == ("Overview", 1)
            assert row.ext_id not in found
            found[str(row.ext_id)] = (str(clone.id), str(row.id))
        return found

    def renew(self) -> None:
        """Reset it to the state of a new emulator."""
        # Over HTTP, so that every call of the last test has ended.
        requests.get(f"{self._emulator.url}/_emulator/requests", timeout=5)
        self.state.clear()
        self.state.behaviour = ConduitBehaviour()
        self.control.set_faults([])
        self.control.behaviour = Behaviour()
        self.control.log.clear()
        self.control.arrived.clear()

    def server(self, **changes: Any) -> Server:
        """A ``Server`` with the organization's token."""
        return Server(self.url, {ORGANIZATION_TOKEN: TOKEN}, conn_id="my_conn", **changes)

    def __enter__(self) -> Conduit:
        self._emulator.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._emulator.__exit__(kind, error, trace)


def set_conduit_connection(monkeypatch: pytest.MonkeyPatch, name: str = "conduit_default", **fields: Any) -> None:
    """Set ``conduit_default``; ``fields`` replace those of a connection with a token."""
    connection = {"conn_type": "conduit", "password": TOKEN, **fields}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))

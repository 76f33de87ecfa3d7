"""The systems that the emulator emulates.

This is the list of them that the server, the faults, the page and the command read. A new system is one entry here, one
module or package, and its attributes in ``server.Emulator``.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.routing import Route

from airflow_provider_databrain.emulator import conduit
from airflow_provider_databrain.emulator.databrain import dialect as databrain
from airflow_provider_databrain.emulator.databrain.system import Databrain
from airflow_provider_databrain.emulator.dialects import Dialect
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.page import Table
from airflow_provider_databrain.emulator.posthog import dialect as posthog
from airflow_provider_databrain.emulator.posthog.system import PostHog


@dataclass(frozen=True)
class Token:
    """A token that a system accepts.

    :param argument: the name of the argument of ``Emulator`` that sets it.
    :param variable: the environment variable from which the command takes it.
    :param label: its name in the command's output.
    :param beginning: the first characters of a token that the emulator makes up.
    """

    argument: str
    variable: str
    label: str
    beginning: str = ""

    def make_up(self) -> str:
        """Return a random token."""
        return self.beginning + secrets.token_hex(16)


class RunningSystem(Protocol):
    """A running system: its state and its routes."""

    @property
    def routes(self) -> list[Route]:
        """All its routes."""

    def add_samples(self, workspace: str) -> None:
        """Add what a first run needs.

        :param workspace: the name of a workspace, for a system that has workspaces.
        """

    def tables(self) -> list[Table]:
        """Return what the page shows of it."""

    def close(self) -> None:
        """Close the file."""


@dataclass(frozen=True)
class System:
    """A system that the emulator can emulate.

    :param prefix: the beginning of the paths that are logged and that faults apply to.
    :param start: makes the running system from the path of the state file, the control, and the accepted tokens by
        argument.
    """

    name: str
    prefix: str
    dialect: Dialect
    tokens: tuple[Token, ...]
    start: Callable[[str, Control, Mapping[str, str]], RunningSystem]


SYSTEMS = (
    System(
        "Databrain",
        "/api/v2/",
        databrain.DIALECT,
        (
            Token("api_key", "DATABRAIN_EMULATOR_API_KEY", "data app API key"),
            Token("service_token", "DATABRAIN_EMULATOR_SERVICE_TOKEN", "service token"),
        ),
        Databrain,
    ),
    System(
        "PostHog",
        "/api/",
        posthog.DIALECT,
        (Token("posthog_key", "POSTHOG_EMULATOR_API_KEY", "PostHog API key", "phx_"),),
        PostHog,
    ),
    System(
        "Conduit",
        "/v2/",
        conduit.DIALECT,
        (Token("conduit_token", "CONDUIT_EMULATOR_TOKEN", "Conduit token"),),
        conduit.Conduit,
    ),
)
"""If the prefixes of two systems match a path, the first system has it."""
TOKENS = tuple(token for system in SYSTEMS for token in system.tokens)


def dialect_of(path: str) -> Dialect | None:
    """Return the dialect of the API at a path, or None if no API is there."""
    return next((system.dialect for system in SYSTEMS if path.startswith(system.prefix)), None)

"""The emulated PostHog as a whole: its state, its keys, its routes, and what the emulator's page shows of it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.routing import Route

from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.page import NEWEST, Table
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.posthog.routes import PostHogApi
from airflow_provider_databrain.emulator.posthog.state import PostHogState

POSTHOG_SCOPES = ("dashboard:write", "sharing_configuration:write", "insight:write")
"""The scopes of the emulator's own PostHog key: exactly those that provisioning needs."""


class PostHog:
    """A PostHog organization with one project and two members.

    :param path: the SQLite file of the state.
    :param tokens: the accepted ``posthog_key``, which has the scopes ``POSTHOG_SCOPES``.
    """

    def __init__(self, path: str, control: Control, tokens: Mapping[str, str]) -> None:
        self.state = PostHogState(path)
        self.keys: dict[str, Key] = {tokens["posthog_key"]: Key(POSTHOG_SCOPES)}
        self.routes: list[Route] = PostHogApi(self.state, control, self.keys).router.routes

    def add_samples(self, workspace: str) -> None:
        """Add nothing: the project exists, and provisioning needs no more."""

    def tables(self) -> list[Table]:
        """Return the newest dashboards of all projects."""
        rows = [
            (
                row.id,
                row.fields["name"] or "",
                ", ".join(row.fields["tags"]),
                "yes" if row.shared else "",
                row.created_at,
            )
            for row in self.state.newest(NEWEST)
        ]
        total = self.state.count_dashboards(None)
        return [Table("PostHog dashboards", ("Id", "Name", "Tags", "Shared", "Created"), rows, total)]

    def close(self) -> None:
        """Close the file."""
        self.state.close()

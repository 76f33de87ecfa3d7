"""The emulated Databrain as a whole: its states, its routes, and what the emulator's page shows of it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.routing import Route

from airflow_provider_databrain.emulator.databrain.account import AccountState
from airflow_provider_databrain.emulator.databrain.catalog import CatalogState
from airflow_provider_databrain.emulator.databrain.client_dashboards import ClientDashboardsApi
from airflow_provider_databrain.emulator.databrain.dashboards import TransferApi
from airflow_provider_databrain.emulator.databrain.data_apps import DataAppsApi
from airflow_provider_databrain.emulator.databrain.datamarts import DatamartsApi
from airflow_provider_databrain.emulator.databrain.datasources import DatasourcesApi
from airflow_provider_databrain.emulator.databrain.embeds import EmbedsApi
from airflow_provider_databrain.emulator.databrain.metrics import DataApi
from airflow_provider_databrain.emulator.databrain.state import State
from airflow_provider_databrain.emulator.databrain.tokens import TokensApi
from airflow_provider_databrain.emulator.databrain.workspaces import WorkspacesApi
from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.page import NEWEST, Table


class Databrain:
    """A Databrain organization with one data app.

    :param path: the SQLite file of the state.
    :param tokens: the accepted ``api_key`` and ``service_token``.
    """

    def __init__(self, path: str, control: Control, tokens: Mapping[str, str]) -> None:
        self.state = State(path)
        self.account = AccountState(path, {tokens["api_key"]: "api_key", tokens["service_token"]: "service_token"})
        self.catalog = CatalogState(path)
        apis = (
            ClientDashboardsApi(self.state, control, self.account),
            WorkspacesApi(self.state, control, self.account, self.catalog),
            DataAppsApi(self.state, control, self.account),
            TokensApi(self.state, control, self.account),
            EmbedsApi(self.state, control, self.account, self.catalog),
            DataApi(self.state, control, self.account, self.catalog),
            DatasourcesApi(self.state, control, self.account, self.catalog),
            DatamartsApi(control, self.account, self.catalog),
            TransferApi(self.state, control, self.account),
        )
        self.routes: list[Route] = [route for api in apis for route in api.router.routes]

    def add_samples(self, workspace: str) -> None:
        """Add a workspace with metrics and template dashboards."""
        self.state.add_workspace(
            workspace,
            metrics=["active-users", "churn-rate", "mrr", "new-signups", "revenue"],
            dashboards=["template-basic", "template-pro"],
        )

    def tables(self) -> list[Table]:
        """Return the workspaces and the newest embeds."""
        state = self.state
        workspaces = [(name, len(state.metrics(name)), len(state.dashboards(name))) for name in state.workspaces()]
        total = state.count_embeds()
        embeds = [
            (row.client_id, row.dashboard_id, row.dashboard_name, row.workspace, row.created_at)
            for row in reversed(state.embeds(offset=max(0, total - NEWEST)))
        ]
        return [
            Table("Databrain workspaces", ("Name", "Metrics", "Dashboards"), workspaces, len(workspaces)),
            Table("Client dashboards", ("Client", "Dashboard", "Title", "Workspace", "Created"), embeds, total),
        ]

    def close(self) -> None:
        """Close the file."""
        self.state.close()
        self.account.close()
        self.catalog.close()

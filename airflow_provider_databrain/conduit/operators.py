"""Conduit's operators: single calls, and provisioning over a tenant table.

No operator returns a workspace's token. A URL is returned only if ``return_url`` or ``push_urls`` is set. Arguments
come through templates, so a number may be a string.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.base.operator import ApiOperator
from airflow_provider_databrain.base.templating import positive_int
from airflow_provider_databrain.tenants.operators.provision import ProvisionSharedOperator
from airflow_provider_databrain.tenants.operators.remove import RemoveTenantsOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.conduit.hook import ConduitHook
    from airflow_provider_databrain.conduit.target import ConduitTarget
    from airflow_provider_databrain.tenants.engine.report import Report


class ConduitOperator(ApiOperator):
    """Base of Conduit's operators. Other parameters: see ``ApiOperator``.

    :param conduit_conn_id: the Airflow connection (templated).
    """

    template_fields: Sequence[str] = ("conduit_conn_id",)
    ui_color = "#e3f5ee"

    def __init__(self, *, conduit_conn_id: str = "conduit_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conduit_conn_id = conduit_conn_id

    @cached_property
    def hook(self) -> ConduitHook:
        """The hook, created when it is first used."""
        from airflow_provider_databrain.conduit.hook import ConduitHook

        return ConduitHook(self.conduit_conn_id, **self.timeouts)


class CreateConduitWorkspaceOperator(ConduitOperator):
    """Find the workspace with an ``ext_id``, or create it; returns its id. An existing workspace is not changed.

    :param ext_id: your own id for the workspace, for example a tenant's key (templated).
    :param name: name of a new workspace; by default ``ext_id`` (templated).
    """

    template_fields: Sequence[str] = (*ConduitOperator.template_fields, "ext_id", "name")

    def __init__(self, *, ext_id: str, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ext_id = ext_id
        self.name = name

    def execute(self, context: Context) -> int:
        """Find or create the workspace; returns its id."""
        # Native rendering may have turned it into a number.
        ext_id = str(self.ext_id)
        return self.hook.find_or_create_workspace(ext_id, self.name or ext_id).id


class _WorkspaceOperator(ConduitOperator):
    """Base of the operators that work on one workspace.

    :param workspace_id: number of the workspace (templated).
    """

    template_fields: Sequence[str] = (*ConduitOperator.template_fields, "workspace_id")

    def __init__(self, *, workspace_id: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workspace_id = workspace_id

    def workspace(self) -> int:
        """The workspace's id as a number.

        :raises ValueError: ``workspace_id`` is not a whole number above 0; nothing was sent.
        """
        return positive_int(self.workspace_id, "workspace_id")


class DisableConduitWorkspaceOperator(_WorkspaceOperator):
    """Disable a workspace. If it no longer exists, nothing happens.

    :param workspace_id: number of the workspace (templated).
    """

    def execute(self, context: Context) -> None:
        """Disable the workspace."""
        from airflow_provider_databrain.client.errors import NotFoundError

        number = self.workspace()
        try:
            self.hook.disable_workspace(number)
        except NotFoundError as error:
            error.raise_unless_from_api()
            self.log.info("Workspace %d does not exist or is already disabled", number)


class ListConduitWorkspacesOperator(ConduitOperator):
    """List the organization's workspaces; returns rows of ``id``, ``ext_id`` and ``name``, without tokens."""

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List the workspaces."""
        workspaces = self.hook.list_workspaces()
        return [{"id": each.id, "ext_id": each.ext_id, "name": each.name} for each in workspaces]


class ListConduitDashboardsOperator(ConduitOperator):
    """List the dashboards of a workspace or of the organization; returns rows of ``id`` and ``name``.

    :param workspace_id: number of the workspace; None means the organization (templated).
    """

    template_fields: Sequence[str] = (*ConduitOperator.template_fields, "workspace_id")

    def __init__(self, *, workspace_id: int | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workspace_id = workspace_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List the dashboards."""
        is_organization = self.workspace_id in (None, "", "None")
        workspace = None if is_organization else positive_int(self.workspace_id, "workspace_id")
        return [{"id": each.id, "name": each.name} for each in self.hook.list_dashboards(workspace)]


class CloneConduitDashboardOperator(_WorkspaceOperator):
    """Clone one of the organization's dashboards into a workspace; returns the clone's id.

    Each clone call makes another copy. So if the workspace already has a dashboard with that name, nothing is cloned,
    and the id of the oldest such dashboard is returned.

    :param workspace_id: number of the workspace (templated).
    :param dashboard_id: number of the organization's dashboard (templated).
    :param name: name of the clone; it is found again by this name (templated).
    """

    template_fields: Sequence[str] = (*_WorkspaceOperator.template_fields, "dashboard_id", "name")

    def __init__(self, *, dashboard_id: int | str, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dashboard_id = dashboard_id
        self.name = name

    def execute(self, context: Context) -> int:
        """Find the clone or make it; returns its id."""
        workspace, source = self.workspace(), positive_int(self.dashboard_id, "dashboard_id")
        found = self._find(workspace)
        if found is not None:
            self.log.info("Workspace %d already has a dashboard with that name", workspace)
            return found
        made = self.hook.clone_dashboard(source, workspace, self.name).id
        if made != source:
            return made
        # The answer has the copied dashboard. The workspace's list shows the copy.
        found = self._find(workspace)
        if found is None:
            raise ValueError(
                f"Conduit cloned dashboard {source} into workspace {workspace}, but did not say which dashboard is the "
                "clone, and the workspace's list has none with that name. Run the task again."
            )
        return found

    def _find(self, workspace: int) -> int | None:
        """The id of the oldest clone with that name in the workspace.

        :raises AlreadyExistsError: nothing shows whether it is a clone or the organization's.
        """
        from airflow_provider_databrain.conduit.api import find_clone

        listed = self.hook.list_dashboards(workspace)
        if all(each.name != self.name for each in listed):
            return None
        return find_clone(self.name, listed, self.hook.list_dashboards())


class ShareConduitDashboardOperator(ConduitOperator):
    """Request the URL that shows a dashboard; returns it only if ``return_url`` is set.

    :param dashboard_id: number of the dashboard (templated).
    :param workspace_id: number of the workspace that it is in (templated).
    :param return_url: return the URL. Anyone who has it may see the dashboard, and XCom will contain it.
    """

    template_fields: Sequence[str] = (*ConduitOperator.template_fields, "dashboard_id", "workspace_id")

    def __init__(
        self, *, dashboard_id: int | str, workspace_id: int | str, return_url: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dashboard_id = dashboard_id
        self.workspace_id = workspace_id
        self.return_url = return_url

    def execute(self, context: Context) -> str | None:
        """Request the URL; returns it if ``return_url`` is set."""
        workspace = positive_int(self.workspace_id, "workspace_id")
        url = self.hook.share_url(positive_int(self.dashboard_id, "dashboard_id"), workspace)
        return url if self.return_url else None


class ConduitTenants:
    """Conduit's hook and target for a task over a tenant table.

    :param conn_id: the Airflow connection.
    :param timeouts: the hook's timeout arguments, in seconds; they replace the connection's values.
    """

    def __init__(self, conn_id: str, timeouts: Mapping[str, float | None]) -> None:
        from airflow_provider_databrain.conduit.hook import ConduitHook

        self.hook = ConduitHook(conn_id, **timeouts)

    def target(self, *, repeated: bool) -> ConduitTarget:
        """The target for the engine, the same for a first and a repeated try."""
        from airflow_provider_databrain.conduit.target import ConduitTarget

        return ConduitTarget(scope=self.hook.conn_id)


class ProvisionConduitDashboardsOperator(ProvisionSharedOperator):
    """Give every tenant of one batch its Conduit workspace, with a clone of the source dashboard in it.

    The spec's fields are those of ``conduit.target.ConduitSpec``. XCom also has ``workspaces``: tenant to workspace id.
    Conduit has no call that changes or deletes a dashboard, so nothing is updated. Other parameters: see
    ``ProvisionSharedOperator``.

    :param conduit_conn_id: the Airflow connection (templated).
    """

    template_fields: Sequence[str] = (*ConduitOperator.template_fields, *ProvisionSharedOperator.template_fields)
    ui_color = ConduitOperator.ui_color

    def __init__(self, *, conduit_conn_id: str = "conduit_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conduit_conn_id = conduit_conn_id

    @cached_property
    def vendor(self) -> ConduitTenants:
        """Conduit's hook and target."""
        return ConduitTenants(self.conduit_conn_id, self.timeouts)

    def extra_xcoms(self, report: Report) -> dict[str, Any]:
        """The workspaces' ids, and the URLs if ``push_urls`` is set."""
        return {
            "workspaces": {tenant: report.embed_ids[tenant] for tenant in report.ids},
            **super().extra_xcoms(report),
        }


class RemoveConduitWorkspacesOperator(RemoveTenantsOperator):
    """Disable the Conduit workspaces of tenants that no longer exist. Other parameters: see ``RemoveTenantsOperator``.

    :param conduit_conn_id: the Airflow connection (templated).
    """

    template_fields: Sequence[str] = (*ConduitOperator.template_fields, *RemoveTenantsOperator.template_fields)

    def __init__(self, *, conduit_conn_id: str = "conduit_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conduit_conn_id = conduit_conn_id

    @cached_property
    def vendor(self) -> ConduitTenants:
        """Conduit's hook and target."""
        return ConduitTenants(self.conduit_conn_id, self.timeouts)

"""Operators of Conduit: single calls, and those over a tenant table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.base.operator import ApiOperator
from airflow_provider_databrain.base.templating import whole
from airflow_provider_databrain.tenants.operators.provision import ProvisionSharedOperator
from airflow_provider_databrain.tenants.operators.remove import RemoveTenantsOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.conduit.hook import ConduitHook
    from airflow_provider_databrain.conduit.target import ConduitTarget
    from airflow_provider_databrain.tenants.engine.report import Report


class ConduitOperator(ApiOperator):
    """Base of the operators that talk to Conduit; further parameters: see ``ApiOperator``.

    :param conduit_conn_id: the Airflow connection (templated).
    """

    template_fields: Sequence[str] = ("conduit_conn_id",)
    ui_color = "#e3f5ee"

    def __init__(self, *, conduit_conn_id: str = "conduit_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conduit_conn_id = conduit_conn_id

    @cached_property
    def hook(self) -> ConduitHook:
        """The hook, made when first used."""
        from airflow_provider_databrain.conduit.hook import ConduitHook

        return ConduitHook(self.conduit_conn_id, **self.timeouts)


class CreateConduitWorkspaceOperator(ConduitOperator):
    """Make the workspace with an ``ext_id`` exist; returns its id. One that is there is taken as it is.

    :param ext_id: your own id for it, such as a tenant's key (templated).
    :param name: of a new workspace; ``ext_id`` where it is not given (templated).
    """

    template_fields: Sequence[str] = (*ConduitOperator.template_fields, "ext_id", "name")

    def __init__(self, *, ext_id: str, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ext_id = ext_id
        self.name = name

    def execute(self, context: Context) -> int:
        """Find or create; returns the workspace's id."""
        # Native rendering may have made a number of it.
        ext_id = str(self.ext_id)
        return self.hook.find_or_create_workspace(ext_id, self.name or ext_id).id


class _WorkspaceOperator(ConduitOperator):
    """Base of what is done to one workspace.

    :param workspace_id: number of the workspace (templated).
    """

    template_fields: Sequence[str] = (*ConduitOperator.template_fields, "workspace_id")

    def __init__(self, *, workspace_id: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workspace_id = workspace_id

    def workspace(self) -> int:
        """The workspace's number, of which templating may have made a text."""
        return whole(self.workspace_id, "workspace_id")


class DisableConduitWorkspaceOperator(_WorkspaceOperator):
    """Disable a workspace; one that is gone is no error.

    :param workspace_id: number of the workspace (templated).
    """

    def execute(self, context: Context) -> None:
        """Disable."""
        from airflow_provider_databrain.client.errors import NotFoundError

        number = self.workspace()
        try:
            self.hook.disable_workspace(number)
        except NotFoundError:
            self.log.info("Workspace %d is gone already", number)


class ListConduitWorkspacesOperator(ConduitOperator):
    """List the organization's workspaces; returns rows of ``id``, ``ext_id`` and ``name``, and no token."""

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List."""
        return [{"id": one.id, "ext_id": one.ext_id, "name": one.name} for one in self.hook.list_workspaces()]


class ListConduitDashboardsOperator(ConduitOperator):
    """List the dashboards of a workspace, or the organization's own; returns rows of ``id`` and ``name``.

    :param workspace_id: number of the workspace; None for the organization (templated).
    """

    template_fields: Sequence[str] = (*ConduitOperator.template_fields, "workspace_id")

    def __init__(self, *, workspace_id: int | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workspace_id = workspace_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List."""
        given = self.workspace_id not in (None, "", "None")
        workspace = whole(self.workspace_id, "workspace_id") if given else None
        return [{"id": one.id, "name": one.name} for one in self.hook.list_dashboards(workspace)]


class CloneConduitDashboardOperator(_WorkspaceOperator):
    """Have a clone of one of the organization's dashboards in a workspace; returns its id.

    Conduit makes one more with each clone. So one of that name that is there already is taken as it is.

    :param workspace_id: number of the workspace (templated).
    :param dashboard_id: number of the organization's dashboard (templated).
    :param name: of the clone, by which it is found again (templated).
    """

    template_fields: Sequence[str] = (*_WorkspaceOperator.template_fields, "dashboard_id", "name")

    def __init__(self, *, dashboard_id: int | str, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dashboard_id = dashboard_id
        self.name = name

    def execute(self, context: Context) -> int:
        """Find or clone; returns the clone's id."""
        workspace, source = self.workspace(), whole(self.dashboard_id, "dashboard_id")
        named = [one.id for one in self.hook.list_dashboards(workspace) if one.name == self.name]
        if named:
            self.log.info("Workspace %d has a dashboard of that name", workspace)
            return min(named)
        return self.hook.clone_dashboard(source, workspace, self.name).id


class ShareConduitDashboardOperator(ConduitOperator):
    """Ask for the address under which a dashboard is seen; returns it only where asked for.

    :param dashboard_id: number of the dashboard (templated).
    :param workspace_id: number of the workspace that it is in (templated).
    :param return_url: return the address. Whoever has it may see the dashboard, and XCom then holds it.
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
        """Ask; returns the address where asked for."""
        workspace = whole(self.workspace_id, "workspace_id")
        url = self.hook.share_url(whole(self.dashboard_id, "dashboard_id"), workspace)
        return url if self.return_url else None


class ConduitTenants:
    """Conduit's side of a task over a tenant table.

    :param conn_id: the Airflow connection.
    :param timeouts: seconds, instead of the connection's; as the hook takes them.
    """

    def __init__(self, conn_id: str, timeouts: Mapping[str, float | None]) -> None:
        from airflow_provider_databrain.conduit.hook import ConduitHook

        self.hook = ConduitHook(conn_id, **timeouts)

    def target(self, *, repeated: bool) -> ConduitTarget:
        """The engine's target, the same for a first and a repeated try."""
        from airflow_provider_databrain.conduit.target import ConduitTarget

        return ConduitTarget(scope=self.hook.conn_id)


class ProvisionConduitDashboardsOperator(ProvisionSharedOperator):
    """Make every tenant of one batch have its Conduit workspace, and in it a clone of the source dashboard.

    Further parameters: see ``ProvisionSharedOperator``. The spec's fields are those of
    ``provisioning.targets.conduit.ConduitSpec``. XCom also has ``workspaces``: tenant to the workspace's id. Conduit
    has no call that changes or deletes a dashboard, so nothing is ever updated.
    """

    template_fields: Sequence[str] = (*ConduitOperator.template_fields, *ProvisionSharedOperator.template_fields)
    ui_color = ConduitOperator.ui_color

    def __init__(self, *, conduit_conn_id: str = "conduit_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conduit_conn_id = conduit_conn_id

    @cached_property
    def vendor(self) -> ConduitTenants:
        """Conduit's side of this task."""
        return ConduitTenants(self.conduit_conn_id, self.timeouts)

    def extra_xcoms(self, report: Report) -> dict[str, Any]:
        """The workspaces, and the addresses where asked for."""
        return {
            "workspaces": {tenant: report.embed_ids[tenant] for tenant in report.ids},
            **super().extra_xcoms(report),
        }


class RemoveConduitWorkspacesOperator(RemoveTenantsOperator):
    """Disable the Conduit workspaces of tenants that are no more; parameters: see ``RemoveTenantsOperator``."""

    template_fields: Sequence[str] = (*ConduitOperator.template_fields, *RemoveTenantsOperator.template_fields)

    def __init__(self, *, conduit_conn_id: str = "conduit_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conduit_conn_id = conduit_conn_id

    @cached_property
    def vendor(self) -> ConduitTenants:
        """Conduit's side of this task."""
        return ConduitTenants(self.conduit_conn_id, self.timeouts)

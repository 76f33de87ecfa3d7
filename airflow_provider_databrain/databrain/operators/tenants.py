"""Databrain's operators over a tenant table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_databrain.databrain.operators.base import DatabrainOperator
from airflow_provider_databrain.tenants.operators.provision import PlanTenantBatchesOperator, ProvisionTenantsOperator
from airflow_provider_databrain.tenants.operators.remove import RemoveTenantsOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.databrain.target import DatabrainTarget

__all__ = ["PlanTenantBatchesOperator", "ProvisionTenantDashboardsOperator", "RemoveTenantDashboardsOperator"]


class _DatabrainTenantsOperator(DatabrainOperator):
    # Airflow gives a class without one that of its first base, and its siblings would be passed over.
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def databrain_target(self, **more: Any) -> DatabrainTarget:
        """Databrain's side of the engine."""
        from airflow_provider_databrain.databrain.target import DatabrainTarget

        extras = self.hook.extras
        return DatabrainTarget(
            scope=extras.data_app_name or self.databrain_conn_id, workspace_name=extras.workspace_name, **more
        )


class ProvisionTenantDashboardsOperator(ProvisionTenantsOperator, _DatabrainTenantsOperator):
    """Make every tenant of one batch have its Databrain dashboard; see ``ProvisionTenantsOperator`` too.

    The spec's fields are those of ``api.databrain.CreateDashboardEmbed``. An update sets access settings and name;
    the API changes nothing else.

    :param if_exists: ``adopt`` takes over a dashboard that is proved to be the tenant's; ``fail`` does not, except
        where the task is tried again and an earlier try may have created it (templated).
    :param stamp: note the client id in each new dashboard's metadata, as the proof that ``adopt`` looks for.
    """

    template_fields: Sequence[str] = (
        *DatabrainOperator.template_fields,
        *ProvisionTenantsOperator.template_fields,
        "if_exists",
    )

    def __init__(self, *, if_exists: Literal["adopt", "fail"] = "adopt", stamp: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.if_exists = if_exists
        self.stamp = stamp

    def target(self, *, repeated: bool = False) -> DatabrainTarget:
        """Databrain's side of the engine. Without a ledger, any of the dashboards may exist."""
        return self.databrain_target(
            repeated=repeated,
            if_exists=self.if_exists,
            stamp=self.stamp,
            look_first=not self.ledger_conn_id,
        )


class RemoveTenantDashboardsOperator(RemoveTenantsOperator, _DatabrainTenantsOperator):
    """Remove the Databrain dashboards of tenants that are no more; further parameters: see ``RemoveTenantsOperator``.

    :param delete: ``embed``, or ``dashboard`` for embed and dashboard (templated).
    """

    template_fields: Sequence[str] = (
        *DatabrainOperator.template_fields,
        *RemoveTenantsOperator.template_fields,
        "delete",
    )

    def __init__(self, *, delete: Literal["embed", "dashboard"], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delete = delete

    def target(self, *, repeated: bool = False) -> DatabrainTarget:
        """Databrain's side of the engine."""
        if self.delete not in ("embed", "dashboard"):
            raise ValueError(f"delete is {self.delete!r}; it is 'embed' or 'dashboard'. Nothing was removed.")
        return self.databrain_target(repeated=repeated, delete_dashboards=self.delete == "dashboard")

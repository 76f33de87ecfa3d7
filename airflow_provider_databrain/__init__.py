"""Airflow provider that makes each tenant's embedded dashboard exist and returns its id.

Every hook, operator, sensor, trigger, link, target and error can be imported from here by its name, for example
``from airflow_provider_databrain import DatabrainHook``. Its module is imported when the name is first used, so a Dag
file loads only what it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

MODULES = {
    "databrain.hook": ("DatabrainHook",),
    "databrain.keys": ("KeyNotStoredError",),
    "databrain.operators.client_dashboards": ("CreateDashboardEmbedOperator",),
    "databrain.operators.dashboards": ("PromoteDashboardOperator", "PromotionError"),
    "databrain.operators.data_apps": (
        "CreateDataAppOperator",
        "DeleteDataAppOperator",
        "ListDataAppsOperator",
        "RenameDataAppOperator",
    ),
    "databrain.operators.datamarts": (
        "CreateDatamartOperator",
        "DeleteDatamartOperator",
        "ListDatamartsOperator",
        "UpdateDatamartOperator",
    ),
    "databrain.operators.datasources": (
        "CreateDatasourceOperator",
        "DeleteDatasourceOperator",
        "ListDatasourcesOperator",
        "SyncDatasourceOperator",
        "UpdateDatasourceOperator",
    ),
    "databrain.operators.embeds": (
        "DeleteEmbedOperator",
        "EmbedOperator",
        "ExportEmbedOperator",
        "ListEmbedsOperator",
        "UpdateEmbedOperator",
    ),
    "databrain.operators.metrics": (
        "FetchDashboardMetricsOperator",
        "FetchDataAppDashboardsOperator",
        "FetchEmbedMetricsOperator",
        "FetchMetricDataOperator",
        "ListScheduledReportsOperator",
        "MetricDataToSqlOperator",
        "PublishMetricOperator",
    ),
    "databrain.operators.semantic_layers": (
        "DeleteSemanticLayerOperator",
        "FetchSemanticLayerOperator",
        "SetSemanticLayerOperator",
    ),
    "databrain.operators.tenants": ("ProvisionTenantDashboardsOperator", "RemoveTenantDashboardsOperator"),
    "databrain.operators.tokens": (
        "CreateApiTokenOperator",
        "ListApiTokensOperator",
        "RotateApiKeyOperator",
        "RotateServiceTokenOperator",
    ),
    "databrain.operators.workspaces": (
        "CreateWorkspaceOperator",
        "DeleteWorkspaceOperator",
        "FetchWorkspaceDashboardsOperator",
        "FetchWorkspaceMetricsOperator",
        "ListWorkspacesOperator",
        "UpdateWorkspaceOperator",
    ),
    "databrain.sensors": ("DatasourceSyncSensor", "EmbedSensor", "WorkspaceDashboardsSensor", "WorkspaceMetricsSensor"),
    "databrain.target": ("DatabrainTarget",),
    "databrain.triggers.growth": ("WorkspaceGrowthTrigger",),
    "databrain.triggers.syncs": ("DatasourceSyncTrigger", "SyncFailedError"),
    "databrain.triggers.waits": ("EmbedTrigger", "WorkspaceDashboardsTrigger", "WorkspaceMetricsTrigger"),
    "posthog.api.stream": ("StreamCutError", "StreamFailedError"),
    "posthog.hook": ("PostHogHook",),
    "posthog.links": ("PostHogDashboardLink", "PostHogSharedPageLink"),
    "posthog.operators.collaborators": ("AddPostHogCollaboratorsOperator",),
    "posthog.operators.dashboards": (
        "CreatePostHogDashboardOperator",
        "DeletePostHogDashboardOperator",
        "UpdatePostHogDashboardOperator",
    ),
    "posthog.operators.sharing": ("RefreshPostHogSharingOperator", "SharePostHogDashboardOperator"),
    "posthog.operators.templates": ("CreatePostHogDashboardFromTemplateOperator",),
    "posthog.operators.tenants": ("ProvisionPostHogDashboardsOperator", "RemovePostHogDashboardsOperator"),
    "posthog.operators.tiles": (
        "AddPostHogTextTileOperator",
        "CopyPostHogTileOperator",
        "DeletePostHogTileOperator",
    ),
    "posthog.sensors": ("PostHogDashboardRefreshedSensor",),
    "posthog.target": ("PostHogTarget",),
    "posthog.triggers": ("DashboardRefreshedTrigger",),
    "conduit.hook": ("ConduitHook",),
    "conduit.operators": (
        "CloneConduitDashboardOperator",
        "CreateConduitWorkspaceOperator",
        "DisableConduitWorkspaceOperator",
        "ListConduitDashboardsOperator",
        "ListConduitWorkspacesOperator",
        "ProvisionConduitDashboardsOperator",
        "RemoveConduitWorkspacesOperator",
        "ShareConduitDashboardOperator",
    ),
    "conduit.target": ("ConduitTarget",),
    "tenants.engine.ledger_table": ("LedgerError",),
    "tenants.engine.removal": ("RemovalGuardError",),
    "tenants.engine.report": ("ProvisioningError",),
    "tenants.engine.spec": ("SpecError",),
    "tenants.engine.table": ("TenantTableError",),
    "tenants.operators.plan": ("PlanTenantBatchesOperator",),
    "base.sensor": ("WaitError",),
    "client.errors": (
        "AlreadyExistsError",
        "ApiError",
        "AuthenticationError",
        "EndpointMissingError",
        "InvalidRequestError",
        "MalformedAnswerError",
        "NotAllowedError",
        "NotFoundError",
        "RateLimitedError",
        "ServerError",
        "TransportError",
    ),
    "client.server": ("ConfigurationError",),
}
"""The public face: module to the names that are imported from it."""
_MODULE_OF = {name: module for module, names in MODULES.items() for name in names}

__all__ = ["__version__", *sorted(_MODULE_OF)]

if TYPE_CHECKING:
    # The same names for mypy and IDEs, which cannot read the table. A test compares the two.
    from airflow_provider_databrain.base.sensor import WaitError as WaitError
    from airflow_provider_databrain.client.errors import AlreadyExistsError as AlreadyExistsError
    from airflow_provider_databrain.client.errors import ApiError as ApiError
    from airflow_provider_databrain.client.errors import AuthenticationError as AuthenticationError
    from airflow_provider_databrain.client.errors import EndpointMissingError as EndpointMissingError
    from airflow_provider_databrain.client.errors import InvalidRequestError as InvalidRequestError
    from airflow_provider_databrain.client.errors import MalformedAnswerError as MalformedAnswerError
    from airflow_provider_databrain.client.errors import NotAllowedError as NotAllowedError
    from airflow_provider_databrain.client.errors import NotFoundError as NotFoundError
    from airflow_provider_databrain.client.errors import RateLimitedError as RateLimitedError
    from airflow_provider_databrain.client.errors import ServerError as ServerError
    from airflow_provider_databrain.client.errors import TransportError as TransportError
    from airflow_provider_databrain.client.server import ConfigurationError as ConfigurationError
    from airflow_provider_databrain.conduit.hook import ConduitHook as ConduitHook
    from airflow_provider_databrain.conduit.operators import (
        CloneConduitDashboardOperator as CloneConduitDashboardOperator,
    )
    from airflow_provider_databrain.conduit.operators import (
        CreateConduitWorkspaceOperator as CreateConduitWorkspaceOperator,
    )
    from airflow_provider_databrain.conduit.operators import (
        DisableConduitWorkspaceOperator as DisableConduitWorkspaceOperator,
    )
    from airflow_provider_databrain.conduit.operators import (
        ListConduitDashboardsOperator as ListConduitDashboardsOperator,
    )
    from airflow_provider_databrain.conduit.operators import (
        ListConduitWorkspacesOperator as ListConduitWorkspacesOperator,
    )
    from airflow_provider_databrain.conduit.operators import (
        ProvisionConduitDashboardsOperator as ProvisionConduitDashboardsOperator,
    )
    from airflow_provider_databrain.conduit.operators import (
        RemoveConduitWorkspacesOperator as RemoveConduitWorkspacesOperator,
    )
    from airflow_provider_databrain.conduit.operators import (
        ShareConduitDashboardOperator as ShareConduitDashboardOperator,
    )
    from airflow_provider_databrain.conduit.target import ConduitTarget as ConduitTarget
    from airflow_provider_databrain.databrain.hook import DatabrainHook as DatabrainHook
    from airflow_provider_databrain.databrain.keys import KeyNotStoredError as KeyNotStoredError
    from airflow_provider_databrain.databrain.operators.client_dashboards import (
        CreateDashboardEmbedOperator as CreateDashboardEmbedOperator,
    )
    from airflow_provider_databrain.databrain.operators.dashboards import (
        PromoteDashboardOperator as PromoteDashboardOperator,
    )
    from airflow_provider_databrain.databrain.operators.dashboards import PromotionError as PromotionError
    from airflow_provider_databrain.databrain.operators.data_apps import CreateDataAppOperator as CreateDataAppOperator
    from airflow_provider_databrain.databrain.operators.data_apps import DeleteDataAppOperator as DeleteDataAppOperator
    from airflow_provider_databrain.databrain.operators.data_apps import ListDataAppsOperator as ListDataAppsOperator
    from airflow_provider_databrain.databrain.operators.data_apps import RenameDataAppOperator as RenameDataAppOperator
    from airflow_provider_databrain.databrain.operators.datamarts import (
        CreateDatamartOperator as CreateDatamartOperator,
    )
    from airflow_provider_databrain.databrain.operators.datamarts import (
        DeleteDatamartOperator as DeleteDatamartOperator,
    )
    from airflow_provider_databrain.databrain.operators.datamarts import ListDatamartsOperator as ListDatamartsOperator
    from airflow_provider_databrain.databrain.operators.datamarts import (
        UpdateDatamartOperator as UpdateDatamartOperator,
    )
    from airflow_provider_databrain.databrain.operators.datasources import (
        CreateDatasourceOperator as CreateDatasourceOperator,
    )
    from airflow_provider_databrain.databrain.operators.datasources import (
        DeleteDatasourceOperator as DeleteDatasourceOperator,
    )
    from airflow_provider_databrain.databrain.operators.datasources import (
        ListDatasourcesOperator as ListDatasourcesOperator,
    )
    from airflow_provider_databrain.databrain.operators.datasources import (
        SyncDatasourceOperator as SyncDatasourceOperator,
    )
    from airflow_provider_databrain.databrain.operators.datasources import (
        UpdateDatasourceOperator as UpdateDatasourceOperator,
    )
    from airflow_provider_databrain.databrain.operators.embeds import DeleteEmbedOperator as DeleteEmbedOperator
    from airflow_provider_databrain.databrain.operators.embeds import EmbedOperator as EmbedOperator
    from airflow_provider_databrain.databrain.operators.embeds import ExportEmbedOperator as ExportEmbedOperator
    from airflow_provider_databrain.databrain.operators.embeds import ListEmbedsOperator as ListEmbedsOperator
    from airflow_provider_databrain.databrain.operators.embeds import UpdateEmbedOperator as UpdateEmbedOperator
    from airflow_provider_databrain.databrain.operators.metrics import (
        FetchDashboardMetricsOperator as FetchDashboardMetricsOperator,
    )
    from airflow_provider_databrain.databrain.operators.metrics import (
        FetchDataAppDashboardsOperator as FetchDataAppDashboardsOperator,
    )
    from airflow_provider_databrain.databrain.operators.metrics import (
        FetchEmbedMetricsOperator as FetchEmbedMetricsOperator,
    )
    from airflow_provider_databrain.databrain.operators.metrics import (
        FetchMetricDataOperator as FetchMetricDataOperator,
    )
    from airflow_provider_databrain.databrain.operators.metrics import (
        ListScheduledReportsOperator as ListScheduledReportsOperator,
    )
    from airflow_provider_databrain.databrain.operators.metrics import (
        MetricDataToSqlOperator as MetricDataToSqlOperator,
    )
    from airflow_provider_databrain.databrain.operators.metrics import PublishMetricOperator as PublishMetricOperator
    from airflow_provider_databrain.databrain.operators.semantic_layers import (
        DeleteSemanticLayerOperator as DeleteSemanticLayerOperator,
    )
    from airflow_provider_databrain.databrain.operators.semantic_layers import (
        FetchSemanticLayerOperator as FetchSemanticLayerOperator,
    )
    from airflow_provider_databrain.databrain.operators.semantic_layers import (
        SetSemanticLayerOperator as SetSemanticLayerOperator,
    )
    from airflow_provider_databrain.databrain.operators.tenants import (
        ProvisionTenantDashboardsOperator as ProvisionTenantDashboardsOperator,
    )
    from airflow_provider_databrain.databrain.operators.tenants import (
        RemoveTenantDashboardsOperator as RemoveTenantDashboardsOperator,
    )
    from airflow_provider_databrain.databrain.operators.tokens import CreateApiTokenOperator as CreateApiTokenOperator
    from airflow_provider_databrain.databrain.operators.tokens import ListApiTokensOperator as ListApiTokensOperator
    from airflow_provider_databrain.databrain.operators.tokens import RotateApiKeyOperator as RotateApiKeyOperator
    from airflow_provider_databrain.databrain.operators.tokens import (
        RotateServiceTokenOperator as RotateServiceTokenOperator,
    )
    from airflow_provider_databrain.databrain.operators.workspaces import (
        CreateWorkspaceOperator as CreateWorkspaceOperator,
    )
    from airflow_provider_databrain.databrain.operators.workspaces import (
        DeleteWorkspaceOperator as DeleteWorkspaceOperator,
    )
    from airflow_provider_databrain.databrain.operators.workspaces import (
        FetchWorkspaceDashboardsOperator as FetchWorkspaceDashboardsOperator,
    )
    from airflow_provider_databrain.databrain.operators.workspaces import (
        FetchWorkspaceMetricsOperator as FetchWorkspaceMetricsOperator,
    )
    from airflow_provider_databrain.databrain.operators.workspaces import (
        ListWorkspacesOperator as ListWorkspacesOperator,
    )
    from airflow_provider_databrain.databrain.operators.workspaces import (
        UpdateWorkspaceOperator as UpdateWorkspaceOperator,
    )
    from airflow_provider_databrain.databrain.sensors import DatasourceSyncSensor as DatasourceSyncSensor
    from airflow_provider_databrain.databrain.sensors import EmbedSensor as EmbedSensor
    from airflow_provider_databrain.databrain.sensors import WorkspaceDashboardsSensor as WorkspaceDashboardsSensor
    from airflow_provider_databrain.databrain.sensors import WorkspaceMetricsSensor as WorkspaceMetricsSensor
    from airflow_provider_databrain.databrain.target import DatabrainTarget as DatabrainTarget
    from airflow_provider_databrain.databrain.triggers.growth import WorkspaceGrowthTrigger as WorkspaceGrowthTrigger
    from airflow_provider_databrain.databrain.triggers.syncs import DatasourceSyncTrigger as DatasourceSyncTrigger
    from airflow_provider_databrain.databrain.triggers.syncs import SyncFailedError as SyncFailedError
    from airflow_provider_databrain.databrain.triggers.waits import EmbedTrigger as EmbedTrigger
    from airflow_provider_databrain.databrain.triggers.waits import (
        WorkspaceDashboardsTrigger as WorkspaceDashboardsTrigger,
    )
    from airflow_provider_databrain.databrain.triggers.waits import WorkspaceMetricsTrigger as WorkspaceMetricsTrigger
    from airflow_provider_databrain.posthog.api.stream import StreamCutError as StreamCutError
    from airflow_provider_databrain.posthog.api.stream import StreamFailedError as StreamFailedError
    from airflow_provider_databrain.posthog.hook import PostHogHook as PostHogHook
    from airflow_provider_databrain.posthog.links import PostHogDashboardLink as PostHogDashboardLink
    from airflow_provider_databrain.posthog.links import PostHogSharedPageLink as PostHogSharedPageLink
    from airflow_provider_databrain.posthog.operators.collaborators import (
        AddPostHogCollaboratorsOperator as AddPostHogCollaboratorsOperator,
    )
    from airflow_provider_databrain.posthog.operators.dashboards import (
        CreatePostHogDashboardOperator as CreatePostHogDashboardOperator,
    )
    from airflow_provider_databrain.posthog.operators.dashboards import (
        DeletePostHogDashboardOperator as DeletePostHogDashboardOperator,
    )
    from airflow_provider_databrain.posthog.operators.dashboards import (
        UpdatePostHogDashboardOperator as UpdatePostHogDashboardOperator,
    )
    from airflow_provider_databrain.posthog.operators.sharing import (
        RefreshPostHogSharingOperator as RefreshPostHogSharingOperator,
    )
    from airflow_provider_databrain.posthog.operators.sharing import (
        SharePostHogDashboardOperator as SharePostHogDashboardOperator,
    )
    from airflow_provider_databrain.posthog.operators.templates import (
        CreatePostHogDashboardFromTemplateOperator as CreatePostHogDashboardFromTemplateOperator,
    )
    from airflow_provider_databrain.posthog.operators.tenants import (
        ProvisionPostHogDashboardsOperator as ProvisionPostHogDashboardsOperator,
    )
    from airflow_provider_databrain.posthog.operators.tenants import (
        RemovePostHogDashboardsOperator as RemovePostHogDashboardsOperator,
    )
    from airflow_provider_databrain.posthog.operators.tiles import (
        AddPostHogTextTileOperator as AddPostHogTextTileOperator,
    )
    from airflow_provider_databrain.posthog.operators.tiles import CopyPostHogTileOperator as CopyPostHogTileOperator
    from airflow_provider_databrain.posthog.operators.tiles import (
        DeletePostHogTileOperator as DeletePostHogTileOperator,
    )
    from airflow_provider_databrain.posthog.sensors import (
        PostHogDashboardRefreshedSensor as PostHogDashboardRefreshedSensor,
    )
    from airflow_provider_databrain.posthog.target import PostHogTarget as PostHogTarget
    from airflow_provider_databrain.posthog.triggers import DashboardRefreshedTrigger as DashboardRefreshedTrigger
    from airflow_provider_databrain.tenants.engine.ledger_table import LedgerError as LedgerError
    from airflow_provider_databrain.tenants.engine.removal import RemovalGuardError as RemovalGuardError
    from airflow_provider_databrain.tenants.engine.report import ProvisioningError as ProvisioningError
    from airflow_provider_databrain.tenants.engine.spec import SpecError as SpecError
    from airflow_provider_databrain.tenants.engine.table import TenantTableError as TenantTableError
    from airflow_provider_databrain.tenants.operators.plan import PlanTenantBatchesOperator as PlanTenantBatchesOperator
else:

    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})

"""The operator that creates one client's dashboard with its embed. It needs the data app API key.

Before it sends the request, it notes in Airflow's task state store (Airflow 3.3 and later) what it is about to create.
So a retry recognizes its own dashboard even if the worker was killed. It deletes the note only if the server has
certainly created nothing for this task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_databrain.airflow_compat import Context, task_state_store
from airflow_provider_databrain.databrain.operators.base import DatabrainOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.databrain.api.embeds import CreateDashboardEmbed

INTENT_KEY = "databrain_create"
"""The key of the note in the task state store."""


class CreateDashboardEmbedOperator(DatabrainOperator):
    """Create one client's dashboard and its embed; returns the embed's id.

    The parameters up to ``extra`` are the API's fields; see ``databrain.api.embeds.CreateDashboardEmbed``. Further
    parameters: see ``DatabrainOperator``.

    :param dashboard_id: the id of the new dashboard; you choose it, unique in the data app (templated).
    :param client_id: the client that owns the dashboard; the key of row-level security (templated).
    :param access_settings: what the client may do; see ``databrain.api.access.AccessSettings`` (templated).
    :param workspace_name: the workspace; the connection's default if not set (templated).
    :param template_dashboard_id: the dashboard whose filters, margins and layout are cloned (templated).
    :param metadata: any JSON object to keep with the dashboard (templated).
    :param is_allow_private_metrics_by_default: see the vendor's page (templated).
    :param name: the embed's name; the dashboard's id if not set (templated).
    :param embed_description: the embed's description (templated).
    :param is_import_metrics: also import the template's metrics (templated).
    :param import_dashboard_data: the ``data`` object of a dashboard export, used instead of the template's metrics
        (templated).
    :param import_dashboard_data_file: path or object storage URL of a dashboard export to upload, used instead of
        ``import_dashboard_data`` (templated).
    :param is_rename_dashboard: show ``name`` as the dashboard's title; otherwise the title is
        ``{dashboard_id}_{client_id}`` (templated).
    :param metric_import_mode: ``GALLERY`` or ``METRIC`` (templated).
    :param schema_pairs: database schemas to replace, each ``{"replace_schema", "target_schema"}`` (templated).
    :param extra: more fields of the API, by the API's own names (templated).
    :param if_exists: if the dashboard exists already: ``adopt`` returns its embed if it is proved to belong to
        ``client_id``, and fails otherwise; ``fail`` always fails. A dashboard that this task created in an earlier,
        ambiguous try is no conflict (templated).
    :param stamp: write the client id into the dashboard's metadata; ``adopt`` accepts it as proof.
    """

    template_fields: Sequence[str] = (
        *DatabrainOperator.template_fields,
        "dashboard_id",
        "client_id",
        "access_settings",
        "workspace_name",
        "template_dashboard_id",
        "metadata",
        "is_allow_private_metrics_by_default",
        "name",
        "embed_description",
        "is_import_metrics",
        "import_dashboard_data",
        "import_dashboard_data_file",
        "is_rename_dashboard",
        "metric_import_mode",
        "schema_pairs",
        "extra",
        "if_exists",
    )
    template_fields_renderers = {"access_settings": "json", "metadata": "json", "import_dashboard_data": "json"}

    def __init__(
        self,
        *,
        dashboard_id: str,
        client_id: str,
        access_settings: Mapping[str, Any],
        workspace_name: str | None = None,
        template_dashboard_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        is_allow_private_metrics_by_default: bool | None = None,
        name: str | None = None,
        embed_description: str | None = None,
        is_import_metrics: bool | None = None,
        import_dashboard_data: Mapping[str, Any] | None = None,
        import_dashboard_data_file: str | None = None,
        is_rename_dashboard: bool | None = None,
        metric_import_mode: str | None = None,
        schema_pairs: Sequence[Mapping[str, str]] | None = None,
        extra: Mapping[str, Any] | None = None,
        if_exists: Literal["adopt", "fail"] = "adopt",
        stamp: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dashboard_id = dashboard_id
        self.client_id = client_id
        self.access_settings = access_settings
        self.workspace_name = workspace_name
        self.template_dashboard_id = template_dashboard_id
        self.metadata = metadata
        self.is_allow_private_metrics_by_default = is_allow_private_metrics_by_default
        self.name = name
        self.embed_description = embed_description
        self.is_import_metrics = is_import_metrics
        self.import_dashboard_data = import_dashboard_data
        self.import_dashboard_data_file = import_dashboard_data_file
        self.is_rename_dashboard = is_rename_dashboard
        self.metric_import_mode = metric_import_mode
        self.schema_pairs = schema_pairs
        self.extra = extra
        self.if_exists = if_exists
        self.stamp = stamp

    def execute(self, context: Context) -> str:
        """Create or adopt the dashboard; returns the embed's id.

        :raises AlreadyExistsError: the dashboard exists, and it is not proved to be the client's or ``if_exists`` is
            ``fail``.
        :raises ValueError: a field is missing or has a wrong value; nothing was sent.
        """
        from airflow_provider_databrain.client.errors import AlreadyExistsError, ApiError
        from airflow_provider_databrain.client.server import ConfigurationError
        from airflow_provider_databrain.databrain.api.embeds import list_all_embeds
        from airflow_provider_databrain.databrain.target import DatabrainTarget

        target = DatabrainTarget(
            workspace_name=self.workspace_name or self.hook.extras.workspace_name,
            if_exists=self.if_exists,
            stamp=self.stamp,
        )
        wanted = target.desire(self.client_id, self._fields()).wanted
        file = self._import_file()
        tried_before = self._note_intent(context, wanted)
        try:
            embed_id = self.hook.create_dashboard_embed(wanted, import_dashboard_data_file=file).id
        except AlreadyExistsError as taken:
            ours = tried_before or taken.after_ambiguous
            if not ours:
                self._forget_intent(context)
            taken.raise_unless_from_api()
            # The embeds of all clients: the error must name the client that owns the dashboard.
            embed_id = target.decide(wanted, self.hook.run(list_all_embeds()), ours=ours)
            self.log.info("Dashboard %r exists and belongs to %r", wanted.dashboard_id, wanted.client_id)
        except (ApiError, ConfigurationError) as error:
            unclear = isinstance(error, ApiError) and (error.ambiguous or error.after_ambiguous)
            if not (tried_before or unclear):
                self._forget_intent(context)
            raise
        return embed_id

    def _fields(self) -> dict[str, Any]:
        from airflow_provider_databrain.databrain.api.embeds import CreateDashboardEmbed

        fields = {field: getattr(self, field) for field in CreateDashboardEmbed.model_fields}
        return {
            field: value
            for field, value in fields.items()
            if value is not None and (field, value) != ("workspace_name", "")
        }

    def _import_file(self) -> bytes | None:
        if self.import_dashboard_data_file is None:
            return None
        from airflow_provider_databrain.airflow_compat import ObjectStoragePath

        with ObjectStoragePath(self.import_dashboard_data_file).open("rb") as file:
            content: bytes = file.read()
        return content

    def _note_intent(self, context: Context, wanted: CreateDashboardEmbed) -> bool:
        """Note what this task is about to create. Returns True if an earlier try has noted the same."""
        store = task_state_store(context)
        if store is None:
            self.log.info(
                "This Airflow has no task state store (Airflow 3.3 has one): if the worker is killed, the next try"
                " recognizes its dashboard only by the stamp or the title"
            )
            return False
        intent: dict[str, Any] = {"dashboard_id": wanted.dashboard_id, "client_id": wanted.client_id}
        if store.get(INTENT_KEY) == intent:
            return True
        store.set(INTENT_KEY, intent)
        return False

    def _forget_intent(self, context: Context) -> None:
        """Delete the note: the server has certainly created nothing for this task."""
        store = task_state_store(context)
        if store is not None:
            store.delete(INTENT_KEY)

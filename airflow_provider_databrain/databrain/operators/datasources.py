"""Operators of Databrain's datasources, the databases that Databrain reads. All need the service token.

Database credentials come from an Airflow connection when the task runs. They are not templated, and no rendered field,
log, error or XCom contains them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import BaseHook, Connection, Context, conf
from airflow_provider_databrain.databrain.operators.base import (
    DatabrainOperator,
    DeleteNamedOperator,
    ListOperator,
    NamedOperator,
)
from airflow_provider_databrain.printable import printable

if TYPE_CHECKING:
    from airflow_provider_databrain.client.models import Received
    from airflow_provider_databrain.databrain.api.datasources import Datasource
    from airflow_provider_databrain.databrain.triggers.syncs import DatasourceSyncTrigger

GRACE = timedelta(seconds=60)
"""Airflow's own timeout ends this much later than the trigger's, so that the trigger's message is shown."""


class _CredentialsOperator(NamedOperator):
    """Base of the operators that send the credentials of a database."""

    kind = "Datasource"
    template_fields: Sequence[str] = (*NamedOperator.template_fields, "datasource_type", "source_conn_id", "fields")
    template_fields_renderers = {"fields": "json"}

    def __init__(
        self,
        *,
        datasource_type: str,
        source_conn_id: str,
        fields: Mapping[str, Any] | None = None,
        credentials: Callable[[Connection], Mapping[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.datasource_type = datasource_type
        self.source_conn_id = source_conn_id
        self.fields = fields
        self.credentials = credentials

    def datasource(self) -> Datasource:
        """The datasource to send, with its credentials.

        :raises ValueError: the type needs ``credentials``, the connection lacks a field, or a field has a wrong value;
            nothing was sent.
        """
        from airflow_provider_databrain.databrain.api.datasources import Datasource

        read = self.credentials or {"postgres": _postgres}.get(self.datasource_type)
        if read is None:
            raise ValueError(
                f"datasource {self.name!r}: this operator cannot build credentials of type {self.datasource_type!r} "
                f"from connection {self.source_conn_id!r}; set credentials, a function that builds them. "
                "Nothing was sent."
            )
        values = {**read(BaseHook.get_connection(self.source_conn_id)), **(self.fields or {})}
        # A user's own function may leave a value blank on purpose.
        missing = [] if self.credentials else [name for name, value in values.items() if value in (None, "")]
        if missing:
            raise ValueError(
                f"datasource {self.name!r}: connection {self.source_conn_id!r} has no {', '.join(missing)}. "
                "Nothing was sent."
            )
        return Datasource(datasource_type=self.datasource_type, credentials={**values, "name": self.name})


class CreateDatasourceOperator(_CredentialsOperator):
    """Create a datasource if none has this name; returns its name. An existing one is left unchanged.

    Further parameters: see ``DatabrainOperator``.

    :param name: the datasource's name; case-sensitive, unique in the organization (templated).
    :param datasource_type: such as ``postgres``, ``snowflake`` or ``bigquery`` (templated).
    :param source_conn_id: the Airflow connection of the database, with the host and user that Databrain must use
        (templated).
    :param fields: more fields of this type that are no secrets, such as ``{"schema": "public"}`` (templated).
    :param credentials: a function that takes the Airflow connection and returns the credentials by the API's own
        names; not needed for ``postgres``.
    """

    def execute(self, context: Context) -> str:
        """Create the datasource; returns its name.

        :raises ValueError: the credentials are incomplete, or a field has a wrong value; nothing was sent.
        :raises InvalidRequestError: Databrain cannot open the database with these credentials.
        """
        datasource = self.datasource()
        return self.create_unless_exists(lambda: self.hook.create_datasource(datasource))


class UpdateDatasourceOperator(_CredentialsOperator):
    """Replace all credentials of a datasource, for example after a password change; returns its name.

    Further parameters: see ``DatabrainOperator``.

    :param name: the datasource's name; case-sensitive (templated).
    :param datasource_type: such as ``postgres``, ``snowflake`` or ``bigquery`` (templated).
    :param source_conn_id: the Airflow connection of the database, with the host and user that Databrain must use
        (templated).
    :param fields: more fields of this type that are no secrets, such as ``{"schema": "public"}`` (templated).
    :param credentials: a function that takes the Airflow connection and returns the credentials by the API's own
        names; not needed for ``postgres``.
    """

    def execute(self, context: Context) -> str:
        """Update the datasource; returns its name.

        :raises ValueError: the credentials are incomplete, or a field has a wrong value; nothing was sent.
        :raises NotFoundError: no datasource has this name.
        """
        return self.hook.update_datasource(self.datasource())


class DeleteDatasourceOperator(DeleteNamedOperator):
    """Delete a datasource; returns nothing. Succeeds if it is already gone; fails if it is in use.

    Further parameters: see ``DatabrainOperator``.

    :param name: the datasource's name; case-sensitive (templated).
    """

    kind = "Datasource"

    def delete(self) -> object:
        """Call the endpoint."""
        return self.hook.delete_datasource(self.name)


class ListDatasourcesOperator(ListOperator):
    """List the organization's datasources; returns rows with ``name``.

    Parameters: see ``RowsOperator``.
    """

    def fetch(self) -> Sequence[Received]:
        """Fetch all pages of the list."""
        return self.hook.list_datasources(page="all")


class SyncDatasourceOperator(DatabrainOperator):
    """Make Databrain read a database's schema again (a sync); returns nothing.

    The server answers when the sync is done. If the answer is lost, for example after ``read_timeout``, the sync may
    still be running. Then the task does not start it again; it waits until the progress is complete. The API reports
    progress only for datasources on S3, and does not say which sync the progress belongs to: it may be an earlier one.

    Further parameters: see ``DatabrainOperator``.

    :param datasource_id: a UUID; it is in the URL of the datasource's page in Databrain (templated).
    :param wait_for_progress: also wait for the progress after a successful answer.
    :param poke_interval: seconds between two requests for the progress.
    :param wait_seconds: the wait fails after this many seconds.
    :param max_transient_failures: how many requests for the progress in a row may fail with a transient error.
    :param deferrable: wait on the triggerer, without a worker slot.
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "datasource_id")

    def __init__(
        self,
        *,
        datasource_id: str,
        wait_for_progress: bool = False,
        poke_interval: float = 30,
        wait_seconds: float = 3600,
        max_transient_failures: int = 5,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.datasource_id = datasource_id
        self.wait_for_progress = wait_for_progress
        self.poke_interval = poke_interval
        self.wait_seconds = wait_seconds
        self.max_transient_failures = max_transient_failures
        self.deferrable = deferrable

    def execute(self, context: Context) -> None:
        """Start the sync, and wait for its end if needed.

        :raises SyncFailedError: the server reports that the sync failed.
        :raises TimeoutError: the progress was not complete within ``wait_seconds``.
        :raises NotFoundError: the datasource does not exist.
        """
        from airflow_provider_databrain.client.errors import ApiError

        try:
            message = self.hook.start_datasource_sync(self.datasource_id)
        except ApiError as error:
            if not error.ambiguous:
                raise
            self.log.warning("The sync may be running; waiting for its progress. Reason: %s", error)
        else:
            shown = printable(self.hook.server.redact(message or "synced"))
            self.log.info("Datasource %r: %s", self.datasource_id, shown)
            if not self.wait_for_progress:
                return
        trigger = self._trigger()
        if self.deferrable:
            limit = timedelta(seconds=float(self.wait_seconds)) + GRACE
            self.defer(trigger=trigger, method_name="execute_complete", timeout=limit)
        self.log.info("%s", asyncio.run(trigger.wait()))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """End the task as the trigger's event says. An unknown event is a failure."""
        from airflow_provider_databrain.databrain.triggers.syncs import SyncFailedError

        status = (event or {}).get("status")
        message = printable(str((event or {}).get("message", "the trigger sent no message")))
        if status == "timeout":
            raise TimeoutError(f"Timed out: {message}")
        if status != "success":
            raise SyncFailedError(message)
        self.log.info("%s", message)

    def _trigger(self) -> DatasourceSyncTrigger:
        from airflow_provider_databrain.databrain.triggers.syncs import DatasourceSyncTrigger

        return DatasourceSyncTrigger(
            databrain_conn_id=self.databrain_conn_id,
            datasource_id=self.datasource_id,
            poke_interval=float(self.poke_interval),
            deadline=time.time() + float(self.wait_seconds),
            max_transient_failures=self.max_transient_failures,
            timeouts=self.timeouts,
        )


def _postgres(connection: Connection) -> dict[str, Any]:
    """The credentials of a datasource of type ``postgres``."""
    return {
        "host": connection.host,
        "port": connection.port or 5432,
        "username": connection.login,
        "password": connection.password,
        "database": connection.schema,
    }

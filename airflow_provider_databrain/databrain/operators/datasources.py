"""Operators of Databrain's datasources. All need the service token."""

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

if TYPE_CHECKING:
    from airflow_provider_databrain.client.models import Received
    from airflow_provider_databrain.databrain.api.datasources import Datasource
    from airflow_provider_databrain.databrain.triggers.syncs import DatasourceSyncTrigger

GRACE = timedelta(seconds=60)
"""How much later than the trigger Airflow itself gives up, so that the trigger's own words are heard."""


class _CredentialsOperator(NamedOperator):
    """Base of what says how Databrain opens a database."""

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
        """The request's fields, checked.

        :raises ValueError: nobody says what this type of datasource needs, or the connection lacks a part of it;
            nothing was sent.
        """
        from airflow_provider_databrain.databrain.api.datasources import Datasource

        read = self.credentials or {"postgres": _postgres}.get(self.datasource_type)
        if read is None:
            raise ValueError(
                f"datasource {self.name!r}: what type {self.datasource_type!r} needs of connection "
                f"{self.source_conn_id!r} is not known here; give credentials, a function that makes it. "
                "Nothing was sent."
            )
        opened = {**read(BaseHook.get_connection(self.source_conn_id)), **(self.fields or {})}
        # What a function of the user's leaves out is left out on purpose.
        missing = [] if self.credentials else [name for name, value in opened.items() if value in (None, "")]
        if missing:
            raise ValueError(
                f"datasource {self.name!r}: connection {self.source_conn_id!r} has no {', '.join(missing)}. "
                "Nothing was sent."
            )
        return Datasource(datasource_type=self.datasource_type, credentials={**opened, "name": self.name})


class CreateDatasourceOperator(_CredentialsOperator):
    """Make a datasource exist; returns its name. One of that name that is there is taken as it is.

    What opens the database comes from an Airflow connection, and shows in no rendered field, log or error.

    :param name: unique in the organization (templated).
    :param datasource_type: such as ``postgres``, ``snowflake`` or ``bigquery`` (templated).
    :param source_conn_id: the Airflow connection of the database, as Databrain is to open it (templated).
    :param fields: what else the type needs and is no secret, such as ``{"schema": "public"}`` (templated).
    :param credentials: a function from that connection to what the type needs, by the API's names; can be left out
        for ``postgres``.
    """

    def execute(self, context: Context) -> str:
        """Create; returns the name."""
        datasource = self.datasource()
        return self.create_unless_exists(lambda: self.hook.create_datasource(datasource))


class UpdateDatasourceOperator(_CredentialsOperator):
    """Replace all that opens a datasource's database, such as after its password was changed; returns its name.

    Parameters: see ``CreateDatasourceOperator``.
    """

    def execute(self, context: Context) -> str:
        """Update; returns the name."""
        return self.hook.update_datasource(self.datasource())


class DeleteDatasourceOperator(DeleteNamedOperator):
    """Delete a datasource; one that is gone is no error, and one that something reads from is not deleted.

    :param name: the datasource (templated).
    """

    kind = "Datasource"

    def delete(self) -> object:
        """Call the endpoint."""
        return self.hook.delete_datasource(self.name)


class ListDatasourcesOperator(ListOperator):
    """List the organization's datasources: rows with ``name``; see ``RowsOperator``."""

    def fetch(self) -> Sequence[Received]:
        """Call the endpoint."""
        return self.hook.list_datasources(page="all")


class SyncDatasourceOperator(DatabrainOperator):
    """Make Databrain read a database's schema anew.

    The server answers once the sync is done. Where the answer gets lost, such as by ``read_timeout``, the sync may be
    running; then it is not started again, and the task waits for its progress. The API tells progress for datasources
    on S3 only, and does not tell whether it is that of an earlier sync.

    :param datasource_id: a UUID, from the address of the datasource's page in Databrain (templated).
    :param wait_for_progress: wait for the progress after a good answer too.
    :param poke_interval: seconds between two looks at the progress.
    :param wait_seconds: seconds after which the wait fails.
    :param max_transient_failures: looks in a row that may fail for a passing reason.
    :param deferrable: wait on the triggerer, without a worker.
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
        """Sync, and wait where that is needed.

        :raises SyncFailedError: the server says that the sync has failed.
        :raises TimeoutError: it was not seen to end within ``wait_seconds``.
        """
        from airflow_provider_databrain.client.errors import ApiError

        try:
            message = self.hook.start_datasource_sync(self.datasource_id)
        except ApiError as error:
            if not error.ambiguous:
                raise
            self.log.warning("The sync may be running; waiting for its progress, because: %s", error)
        else:
            self.log.info("Datasource %r: %s", self.datasource_id, message or "synced")
            if not self.wait_for_progress:
                return
        trigger = self._trigger()
        if self.deferrable:
            limit = timedelta(seconds=float(self.wait_seconds)) + GRACE
            self.defer(trigger=trigger, method_name="execute_complete", timeout=limit)
        self.log.info("%s", asyncio.run(trigger.wait()))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """End as the trigger's event says; an event that is none of the known ones is a failure."""
        from airflow_provider_databrain.databrain.triggers.syncs import SyncFailedError

        status = (event or {}).get("status")
        message = (event or {}).get("message", "the trigger sent no message")
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
    """What a datasource of type ``postgres`` needs."""
    return {
        "host": connection.host,
        "port": connection.port or 5432,
        "username": connection.login,
        "password": connection.password,
        "database": connection.schema,
    }

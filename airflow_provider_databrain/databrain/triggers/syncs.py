"""A trigger that waits until the sync of a datasource is done."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.dialect import MESSAGE_LIMIT
from airflow_provider_databrain.databrain.api import datasources as api
from airflow_provider_databrain.databrain.api.datasources import SyncProgress
from airflow_provider_databrain.databrain.triggers.waits import DatabrainTrigger
from airflow_provider_databrain.portable import Portable
from airflow_provider_databrain.printable import printable


class SyncFailedError(Portable, Exception):
    """The sync of a datasource failed. The message repeats the server's."""


class DatasourceSyncTrigger(DatabrainTrigger):
    """Fires once the sync of a datasource is done or failed. For more parameters, see ``DatabrainTrigger``.

    :param datasource_id: the datasource.
    """

    def __init__(self, *, datasource_id: str, **more: Any) -> None:
        super().__init__(datasource_id=datasource_id, **more)
        self.datasource_id = datasource_id

    def subject(self, hook: Any) -> str:
        """The sync of the datasource."""
        return f"sync of datasource {self.datasource_id!r}"

    def call(self, hook: Any) -> Generator[Request[Any], Any, SyncProgress]:
        """The progress of the sync, without the connection's secrets: its texts go into logs and errors."""
        answer: SyncProgress = yield api.get_sync_progress(self.datasource_id)
        texts = {"progress": answer.progress, "error": answer.error}
        return answer.model_copy(update={name: text and hook.server.redact(text) for name, text in texts.items()})

    def unmet(self, answer: SyncProgress) -> str | None:
        """The progress, in words; None if the sync is done.

        :raises SyncFailedError: the sync failed.
        """
        done = answer.progress or "no progress"
        if answer.error:
            raise SyncFailedError(
                f"datasource {self.datasource_id!r}, {done}: {printable(answer.error[:MESSAGE_LIMIT])}"
            )
        return None if answer.finished else done

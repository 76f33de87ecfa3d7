"""Waiting for the sync of a datasource, on the triggerer."""

from __future__ import annotations

from typing import Any

from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.databrain.api import datasources as api
from airflow_provider_databrain.databrain.api.datasources import SyncProgress
from airflow_provider_databrain.databrain.triggers.waits import DatabrainTrigger


class SyncFailedError(Exception):
    """The sync of a datasource has failed; the message has the server's words."""


class DatasourceSyncTrigger(DatabrainTrigger):
    """Fires once the sync of a datasource is done or has failed; further parameters: see ``DatabrainTrigger``.

    :param datasource_id: the datasource.
    """

    def __init__(self, *, datasource_id: str, **more: Any) -> None:
        super().__init__(datasource_id=datasource_id, **more)
        self.datasource_id = datasource_id

    def subject(self, hook: Any) -> str:
        """The datasource."""
        return f"sync of datasource {self.datasource_id!r}"

    def call(self, hook: Any) -> Request[SyncProgress]:
        """How far it is."""
        return api.get_sync_progress(self.datasource_id)

    def unmet(self, answer: SyncProgress) -> str | None:
        """How far it is.

        :raises SyncFailedError: it has failed.
        """
        done = answer.progress or "no progress"
        if answer.error:
            raise SyncFailedError(f"datasource {self.datasource_id!r}, {done}: {answer.error}")
        return None if answer.finished else done

"""The seam between the engine and a vendor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from airflow_provider_databrain.provisioning.report import Outcome
from airflow_provider_databrain.transport.aio import AsyncTransport

WantedT = TypeVar("WantedT")


@dataclass(frozen=True)
class Desired(Generic[WantedT]):
    """What one tenant's dashboard shall be.

    :param tenant: the tenant's key in the table, as text.
    :param dashboard_id: the id it shall have.
    :param wanted: the vendor's own request.
    """

    tenant: str
    dashboard_id: str
    wanted: WantedT


class Target(Protocol[WantedT]):
    """How one vendor makes a tenant's dashboard exist."""

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[WantedT]:
        """Check one tenant's filled spec; raises ``SpecError``. Sends nothing."""

    async def survey(self, api: AsyncTransport) -> None:
        """See, once for the whole batch, which dashboards exist."""

    async def provision(self, api: AsyncTransport, desired: Desired[WantedT]) -> Outcome | None:
        """Make one dashboard exist; None where that takes a new survey: its id is taken, by whom is unknown."""

    def settle(self, desired: Desired[WantedT]) -> Outcome:
        """Decide, after a new survey, about one that ``provision`` left open."""

"""The seam between the engine and a vendor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from airflow_provider_databrain.client.transport.aio import AsyncTransport

WantedT = TypeVar("WantedT")


class Desired(NamedTuple, Generic[WantedT]):
    """What one tenant's dashboard shall be.

    :param tenant: the tenant's key in the table, as text.
    :param dashboard_id: the id it shall have; None where the vendor chooses it.
    :param spec_hash: of all that the vendor can make so, at creation and later; at most 200 characters.
    :param wanted: the vendor's own request.
    :param place: where the vendor chooses the id: what no two tenants may share, in words.
    """

    tenant: str
    dashboard_id: str | None
    spec_hash: str
    wanted: WantedT
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Existing:
    """A tenant's dashboard as it is, by the ledger or by the vendor's own word.

    :param embed_id: what the vendor calls the thing to be changed or deleted.
    :param spec_hash: as in ``Desired``, as far as it is known; a part that is not known equals nothing.
    :param unfinished: an earlier try of ours left it half made; it is to be completed even without a ledger.
    """

    dashboard_id: str
    embed_id: str
    spec_hash: str
    unfinished: bool = False


class Target(Protocol[WantedT]):
    """How one vendor makes a tenant's dashboard exist, keeps it as the table says, and removes it.

    The engine calls ``create`` for a tenant of which it knows nothing; where that raises ``AlreadyExistsError``, or an
    error after which the dashboard may exist nevertheless (``ambiguous``), it surveys and asks ``find``. It never
    sends two calls for one tenant at a time. Instances serve one batch.
    """

    system: str
    """The vendor's name in the ledger."""
    scope: str
    """Within the vendor, where the dashboards are (a data app, a project): part of the ledger's key."""
    look_first: bool
    """Whether to survey before the first ``create``: always where a vendor would make a second dashboard."""
    creates_once: bool
    """Whether ``create`` sends each create once, whatever comes of it: after an unclear failure that left nothing
    behind the engine asks for it again."""
    can_duplicate: bool
    """Whether two runs at once, or a dead one's last call, may each make a dashboard for one tenant. After a batch in
    which any was created, the engine then surveys once more, keeps what ``find`` answers and deletes ``duplicates``."""

    has_shared_places: bool
    """Whether ``desire`` names places: then no row is passed over because it is as it was, so that each is compared."""

    @property
    def options(self) -> str:
        """Whatever ``desire`` depends on beside the fields, as text."""

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[WantedT]:
        """Check one tenant's filled spec; raises ``SpecError``. Sends nothing."""

    def differs(self, desired: Desired[WantedT], existing: Existing) -> bool:
        """Whether an update is needed.

        :raises SpecError: it would be, but there is none that makes this change.
        """

    async def survey(self, transport: AsyncTransport) -> None:
        """See, once for many tenants, which dashboards exist."""

    async def find(self, transport: AsyncTransport, desired: Desired[WantedT], *, ours: bool) -> Existing | None:
        """The tenant's dashboard by the last survey, and by a call of its own where that is needed; None for none.

        Of several it is the oldest, so that all who ask get the same one. Changes nothing.

        :param ours: an earlier try of the same create may have made it.
        :raises AlreadyExistsError: the id is taken, and nothing proves that it is by this tenant.
        """

    def duplicates(self, desired: Desired[WantedT]) -> Sequence[Existing]:
        """By the last survey, what is the tenant's beside what ``find`` answers."""

    async def create(self, transport: AsyncTransport, desired: Desired[WantedT]) -> Existing:
        """Make the dashboard."""

    async def update(self, transport: AsyncTransport, desired: Desired[WantedT], existing: Existing) -> Existing:
        """Make an existing dashboard as desired; raises ``NotFoundError`` where it is gone."""

    async def delete(self, transport: AsyncTransport, tenant: str, existing: Existing) -> None:
        """Remove the tenant's dashboard, by the last survey its own; nothing to do where it is gone already."""


class SharedTarget(Target[WantedT], Protocol):
    """A target whose dashboards have an address of their own."""

    async def url(self, transport: AsyncTransport, existing: Existing) -> str | None:
        """The address, which is a secret where whoever has it sees the dashboard; None where it is not shared."""

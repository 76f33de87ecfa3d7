"""The interface between the engine and a vendor: what a vendor must implement, and what both exchange.

What always holds: in one batch the engine never has two calls under way for one tenant. ``desire``, ``differs``,
``survey``, ``lists``, ``is_gone``, ``find``, ``find_known``, ``duplicates`` and ``leftovers`` change nothing at the
vendor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from airflow_provider_databrain.client.transport.aio import AsyncTransport

WantedT = TypeVar("WantedT")


class Desired(NamedTuple, Generic[WantedT]):
    """What one tenant's dashboard must be.

    :param tenant: the tenant's key in the table, as a string.
    :param dashboard_id: the id that it must have; None if the vendor chooses the id.
    :param spec_hash: the hash of everything that the vendor can set, at creation and later; at most 200 characters.
    :param wanted: the vendor's own request.
    :param place: only if the vendor chooses the id: what two tenants must not share, in words.
    """

    tenant: str
    dashboard_id: str | None
    spec_hash: str
    wanted: WantedT
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Existing:
    """A tenant's dashboard as it is, according to the ledger or to the vendor.

    :param embed_id: what the vendor calls the thing that is changed or deleted.
    :param spec_hash: as in ``Desired``, as far as it is known; a part that is not known never counts as equal.
    :param unfinished: an earlier try of ours did not complete it; it must be completed even without a ledger.
    """

    dashboard_id: str
    embed_id: str
    spec_hash: str
    unfinished: bool = False


class Target(Protocol[WantedT]):
    """How one vendor creates a tenant's dashboard, keeps it as the table says, and removes it.

    The engine calls ``create`` for a tenant that it does not know. If ``create`` raises ``AlreadyExistsError``, or an
    error after which the dashboard may exist (``ambiguous``), the engine surveys and calls ``find``. An instance serves
    one batch.
    """

    system: str
    """The vendor's name in the ledger."""
    scope: str
    """Where the dashboards are within the vendor (a data app, a project); part of the ledger's key."""
    look_first: bool
    """Whether to survey before the first ``create``; always True if the vendor would make a second dashboard."""
    creates_once: bool
    """Whether ``create`` sends each create once, even if it fails. After an ambiguous failure that left no dashboard,
    the engine calls it again."""
    can_duplicate: bool
    """Whether one tenant may get two dashboards, from two runs at the same time or from the last call of a killed run.
    After a batch that created any, the engine then surveys once more, keeps what ``find`` returns and deletes the
    ``duplicates``."""
    has_shared_places: bool
    """Whether ``desire`` names places. Then every row is checked, even if it did not change, so that its place is
    compared."""

    @property
    def options(self) -> str:
        """Everything that ``desire`` depends on besides the fields, as a string."""

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[WantedT]:
        """Check one tenant's filled spec; raises ``SpecError``. Sends nothing."""

    def differs(self, desired: Desired[WantedT], existing: Existing) -> bool:
        """Whether an update is needed.

        :raises SpecError: an update is needed, but the vendor cannot make this change.
        """

    async def survey(self, transport: AsyncTransport) -> None:
        """List, once for many tenants, which dashboards exist."""

    @property
    def lists_nothing(self) -> bool:
        """Whether the last survey shows no dashboard at all."""

    def lists(self, existing: Existing) -> bool:
        """Whether the last survey shows this dashboard, whoever it belongs to."""

    async def is_gone(self, transport: AsyncTransport, existing: Existing) -> bool:
        """Whether the API itself says that this dashboard does not exist.

        False if it exists, if something else answered, or if the vendor has no call that asks for one dashboard.
        """

    async def find(self, transport: AsyncTransport, desired: Desired[WantedT], *, ours: bool) -> Existing | None:
        """The tenant's dashboard in the last survey, with a call of its own if needed; None if there is none.

        If there are several it is the oldest, so that every caller gets the same one. Changes nothing.

        :param ours: an earlier try of the same create may have made it.
        :raises AlreadyExistsError: the id is taken, and nothing proves that the dashboard is this tenant's.
        """

    def find_known(self, desired: Desired[WantedT], existing: Existing) -> Existing | None:
        """The ledger's dashboard in the last survey, if it only lacks what ``find`` looks for; None if it is not there.

        :raises AlreadyExistsError: the survey shows that it is another tenant's.
        """

    def duplicates(self, desired: Desired[WantedT]) -> Sequence[Existing]:
        """The tenant's other dashboards in the last survey, besides the one that ``find`` returns."""

    def leftovers(self, existing: Existing) -> Sequence[Existing]:
        """Other dashboards in the last survey that are proved to be the same tenant's. They are removed with it."""

    async def create(self, transport: AsyncTransport, desired: Desired[WantedT]) -> Existing:
        """Create the dashboard."""

    async def update(self, transport: AsyncTransport, desired: Desired[WantedT], existing: Existing) -> Existing:
        """Change an existing dashboard to what is desired.

        :raises NotFoundError: it no longer exists, if ``from_api`` is True. Otherwise nothing is known.
        """

    async def delete(self, transport: AsyncTransport, tenant: str, existing: Existing) -> None:
        """Delete the tenant's dashboard if the last survey shows that it is the tenant's; do nothing if it is gone.

        :raises AlreadyExistsError: the survey shows that it is not, or no longer, the tenant's.
        :raises NotFoundError: a 404 that does not prove the end. Only a new survey shows whether it is gone.
        """


class SharedTarget(Target[WantedT], Protocol):
    """A target whose dashboards have an address of their own."""

    async def url(self, transport: AsyncTransport, existing: Existing) -> str | None:
        """The address; None if the dashboard is not shared.

        It is a secret if everybody who has it can see the dashboard.
        """

"""A vendor that chooses ids, is fond of errors, and shows its lists in any order; and the target of such a vendor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from airflow_provider_databrain.client.errors import ApiError, NotFoundError, ServerError, TransportError
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.tenants.engine.target import Desired, Existing
from tests.tenants.engine.tiny_target import TinyTarget, TinyVendor


@dataclass
class UnfriendlyVendor(TinyVendor):
    """The vendor. Each share is the fraction of the calls that go wrong in this way, from 0 to 1.

    :param random: decides which calls go wrong.
    :param lost: a call acts, and then answers with an error.
    :param refused: a call answers with an error and does not act.
    :param half: a create makes a board without its title, and then answers with an error.
    :param other_id: a create answers with the id of another board.
    :param lacking: a list lacks a board.
    :param unproved: a rename or delete is answered with a 404 that is not the API's own, and does not act.
    :param late: a new board is missing in so many lists.
    """

    random: Random = field(default_factory=Random)
    lost: float = 0
    refused: float = 0
    half: float = 0
    other_id: float = 0
    lacking: float = 0
    unproved: float = 0
    late: int = 0
    made_for: dict[str, str] = field(default_factory=dict)
    """Board to owner, also for boards that no longer exist."""
    _made_at: dict[str, int] = field(default_factory=dict)

    def be_friendly(self) -> None:
        """No further call goes wrong. Lists stay in any order."""
        self.lost = self.refused = self.half = self.other_id = self.lacking = self.unproved = 0
        self.late = 0

    async def list(self) -> dict[str, tuple[str, str]]:
        """The boards in any order. Some may be missing."""
        listed = await super().list()
        self._maybe(self.refused)
        shown = [
            board
            for board in listed
            if self.calls["list"] > self._made_at.get(board, -self.late) + self.late
            and self.random.random() >= self.lacking
        ]
        self.random.shuffle(shown)
        return {board: listed[board] for board in shown}

    async def create(self, owner: str, title: str) -> str:
        """Make one more board, or less than that."""
        self._maybe(self.refused)
        is_half = self.random.random() < self.half
        board = await super().create(owner, "" if is_half else title)
        self._made_at[board] = self.calls["list"]
        self.made_for[board] = owner
        if is_half:
            raise ServerError("half of it")
        self._maybe(self.lost)
        return self.random.choice(list(self.boards)) if self.random.random() < self.other_id else board

    async def rename(self, board: str, title: str) -> None:
        """Give a board another title."""
        self._maybe(self.refused)
        self._maybe_404()
        await super().rename(board, title)
        self._maybe(self.lost)

    async def delete(self, board: str) -> None:
        """Remove a board."""
        self._maybe(self.refused)
        self._maybe_404()
        await super().delete(board)
        self._maybe(self.lost)

    def _maybe(self, share: float) -> None:
        if self.random.random() < share:
            errors: list[ApiError] = [ServerError("500"), TransportError("reset")]
            raise self.random.choice(errors)

    def _maybe_404(self) -> None:
        if self.random.random() < self.unproved:
            error = NotFoundError("not here", status=404)
            error.from_api = False
            raise error


class UnfriendlyTarget(TinyTarget):
    """Its target. The oldest board of an owner counts, in whatever order the list shows them."""

    creates_once = True
    can_duplicate = True

    async def find(self, api: AsyncTransport, desired: Desired[str], *, ours: bool) -> Existing | None:
        """The owner's oldest board."""
        return next(iter(self._oldest_first(desired.tenant)), None)

    def duplicates(self, desired: Desired[str]) -> Sequence[Existing]:
        """The owner's other boards."""
        return self._oldest_first(desired.tenant)[1:]

    async def delete(self, api: AsyncTransport, tenant: str, existing: Existing) -> None:
        """Remove the board if the list shows that it is the tenant's. A 404 counts only if it is the API's own."""
        if any(existing.embed_id == board.embed_id for board in self._listed.get(tenant, [])):
            try:
                await self._vendor.delete(existing.embed_id)
            except NotFoundError as error:
                error.raise_unless_from_api()

    def _oldest_first(self, tenant: str) -> list[Existing]:
        boards = sorted(self._listed.get(tenant, []), key=lambda board: int(board.embed_id.removeprefix("board-")))
        return [
            Existing(board.dashboard_id, board.embed_id, board.spec_hash, unfinished=not board.spec_hash)
            for board in boards
        ]

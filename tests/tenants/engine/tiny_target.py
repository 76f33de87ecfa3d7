"""A vendor that is as different from Databrain as possible: it chooses ids, and each create makes one more board."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_databrain.client.errors import AlreadyExistsError, NotFoundError, ServerError
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.target import Desired, Existing


@dataclass
class TinyVendor:
    """The vendor's own side.

    :param boards: board id to owner and title.
    :param calls: how often each method was called.
    :param lose: this number of the next creates act, and then answer with an error.
    """

    boards: dict[str, tuple[str, str]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    lose: int = 0
    _made: int = 0

    async def list(self) -> dict[str, tuple[str, str]]:
        """All boards."""
        await self._called("list")
        return dict(self.boards)

    async def create(self, owner: str, title: str) -> str:
        """Make one more board, even if the owner has one; returns its id."""
        await self._called("create")
        self._made += 1
        board = f"board-{self._made}"
        self.boards[board] = (owner, title)
        if self.lose:
            self.lose -= 1
            raise ServerError("the answer was lost")
        return board

    async def rename(self, board: str, title: str) -> None:
        """Give a board another title."""
        await self._called("rename")
        if board not in self.boards:
            raise NotFoundError(f"no board {board!r}")
        self.boards[board] = (self.boards[board][0], title)

    async def delete(self, board: str) -> None:
        """Remove a board."""
        await self._called("delete")
        if self.boards.pop(board, None) is None:
            raise NotFoundError(f"no board {board!r}")

    async def _called(self, method: str) -> None:
        self.calls[method] += 1
        await asyncio.sleep(0)


class TinyTarget:
    """The target of the vendor; a spec has only a title."""

    system = "tiny"
    scope = "project"
    look_first = True
    creates_once = False
    can_duplicate = False
    has_shared_places = False
    options = ""

    def __init__(self, vendor: TinyVendor) -> None:
        self._vendor = vendor
        self._listed: dict[str, list[Existing]] = {}

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[str]:
        """Check that there is a title."""
        if not fields.get("title"):
            raise SpecError(f"tenant {tenant!r}: title is missing")
        return Desired(tenant, None, fields["title"], fields["title"])

    def differs(self, desired: Desired[str], existing: Existing) -> bool:
        """Whether the title differs."""
        return desired.spec_hash != existing.spec_hash

    async def survey(self, api: AsyncTransport) -> None:
        """List the boards by owner."""
        self._listed = {}
        for board, (owner, title) in (await self._vendor.list()).items():
            self._listed.setdefault(owner, []).append(Existing(board, board, title))

    @property
    def lists_nothing(self) -> bool:
        """Whether the last survey shows nothing at all."""
        return not self._listed

    def lists(self, existing: Existing) -> bool:
        """Whether the list has the board."""
        return any(existing.embed_id == board.embed_id for boards in self._listed.values() for board in boards)

    async def is_gone(self, api: AsyncTransport, existing: Existing) -> bool:
        """Always False: there is no such call."""
        return False

    async def find(self, api: AsyncTransport, desired: Desired[str], *, ours: bool) -> Existing | None:
        """The owner's only board."""
        boards = self._listed.get(desired.tenant, [])
        if len(boards) > 1:
            raise AlreadyExistsError(
                "it has several boards, and which one to adopt is not clear", tenant=desired.tenant
            )
        return boards[0] if boards else None

    def leftovers(self, existing: Existing) -> Sequence[Existing]:
        return ()

    def find_known(self, desired: Desired[str], existing: Existing) -> Existing | None:
        return None

    def duplicates(self, desired: Desired[str]) -> Sequence[Existing]:
        """There are never duplicates: ``find`` refuses several boards."""
        return ()

    async def create(self, api: AsyncTransport, desired: Desired[str]) -> Existing:
        """Make a board."""
        board = await self._vendor.create(desired.tenant, desired.wanted)
        return Existing(board, board, desired.spec_hash)

    async def update(self, api: AsyncTransport, desired: Desired[str], existing: Existing) -> Existing:
        """Set the title."""
        await self._vendor.rename(existing.embed_id, desired.wanted)
        return Existing(existing.dashboard_id, existing.embed_id, desired.spec_hash)

    async def delete(self, api: AsyncTransport, tenant: str, existing: Existing) -> None:
        """Remove the board, unless it no longer exists or has another owner."""
        if existing in self._listed.get(tenant, []):
            with suppress(NotFoundError):
                await self._vendor.delete(existing.embed_id)

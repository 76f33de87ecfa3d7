"""A list that continues in a temporary file, so that memory does not grow with the batch."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import IO, TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")

HEAD = 1000
"""Items that stay in memory as objects; most batches have no more."""
PACKET = 100
"""Items that are pickled together, so that what they share is written once."""
IN_MEMORY_BYTES = 1024 * 1024
"""How much of the pickled items stays in memory before it goes to a file."""


class Spool(Generic[T]):
    """A list that continues in a temporary file when it is long. First append all items, then iterate over them."""

    def __init__(self) -> None:
        self._head: list[T] = []
        self._tail: list[T] = []
        # ``close`` closes it. The file has no name, so a killed process leaves nothing behind.
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
        self._packets: list[list[T] | None] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, item: T) -> None:
        """Add an item."""
        self._length += 1
        if self._length <= HEAD:
            self._head.append(item)
            return
        self._tail.append(item)
        if len(self._tail) == PACKET:
            self._put_away(self._tail)
            self._tail = []

    def extend(self, items: Iterable[T]) -> None:
        """Add items."""
        for item in items:
            self.append(item)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[T]:
        """The items, in the order in which they were added."""
        yield from self._head
        self._file.seek(0)
        for kept in self._packets:
            # Our own file, which no other process can open.
            packet: list[T] = pickle.load(self._file) if kept is None else kept  # noqa: S301
            yield from packet
        yield from self._tail

    def close(self) -> None:
        """Drop the items and the file."""
        self._head.clear()
        self._tail.clear()
        self._packets.clear()
        self._file.close()

    def _put_away(self, packet: list[T]) -> None:
        try:
            pickled = pickle.dumps(packet, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception:
            # A driver's own type may not be picklable, for example the memoryview of a binary column.
            self._packets.append(packet)
        else:
            self._file.write(pickled)
            self._packets.append(None)

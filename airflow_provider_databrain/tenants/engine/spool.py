"""A list that goes on in a temporary file, so that memory does not grow with the batch."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from typing import IO, Generic, TypeVar

T = TypeVar("T")

HEAD = 1000
"""Items of a list that are held as they are; most batches have no more."""
PACKET = 100
"""Items that go to the file together, so that what they share is written once."""
IN_MEMORY_BYTES = 1024 * 1024
"""What of the rest is held in memory before it goes to a file."""


class Spool(Generic[T]):
    """A list that goes on in a temporary file once it is long. Write all, then read all, once."""

    def __init__(self) -> None:
        self._head: list[T] = []
        self._tail: list[T] = []
        # Closed by ``close``; unlinked from the start, or held in memory while small.
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
        self._packets = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, item: T) -> None:
        """Add one."""
        self._length += 1
        if self._length <= HEAD:
            self._head.append(item)
            return
        self._tail.append(item)
        if len(self._tail) == PACKET:
            pickle.dump(self._tail, self._file, protocol=pickle.HIGHEST_PROTOCOL)
            self._packets += 1
            self._tail = []

    def __iter__(self) -> Iterator[T]:
        """Each one, in order."""
        yield from self._head
        self._file.seek(0)
        for _ in range(self._packets):
            # Our own file, which nobody else can open.
            packet: list[T] = pickle.load(self._file)  # noqa: S301
            yield from packet
        yield from self._tail

    def close(self) -> None:
        """Let it go."""
        self._head.clear()
        self._tail.clear()
        self._file.close()

"""Compressed answers: each split of the bytes gives the same body, and no piece is large."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from airflow_provider_databrain.client.compression import PIECE, Body, Decompressor
from airflow_provider_databrain.client.errors import MalformedAnswerError, TransportError
from tests.client.compressed import CUT, Compress, compressions

BODIES = {
    "nothing": b"",
    "one byte": b"x",
    "zeros": bytes(3 * PIECE),
    "a byte more": bytes(2 * PIECE + 1),
    "noise": os.urandom(PIECE + 3),
    "repeated noise": os.urandom(300) * 1000,
}
bodies = pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)


def parts(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@compressions
@bodies
@pytest.mark.parametrize("size", [1, 7, 64 * 1024])
def test_each_split_gives_the_same_body_in_small_pieces(
    encoding: str, compress: Compress, body: bytes, size: int
) -> None:
    decompressor = Decompressor(encoding)
    pieces = [piece for part in parts(compress(body), size) for piece in decompressor.feed(part)]
    decompressor.close()
    assert b"".join(pieces) == body
    assert all(len(piece) <= PIECE for piece in pieces)


@CUT
@bodies
def test_data_without_its_end_is_an_error(encoding: str, compress: Compress, body: bytes) -> None:
    data = compress(body)
    for end in sorted({1, 2, len(data) - 9, len(data) - 1} & set(range(1, len(data)))):
        decompressor = Decompressor(encoding)
        list(decompressor.feed(data[:end]))
        with pytest.raises(TransportError, match=f"the {encoding} data of the answer is cut") as caught:
            decompressor.close()
        assert (caught.value.transient, caught.value.ambiguous) == (True, True)


@compressions
def test_a_body_of_exactly_the_limit_is_accepted(encoding: str, compress: Compress) -> None:
    data = compress(bytes(PIECE))
    accepted = Body(encoding, PIECE)
    accepted.feed(data)
    assert accepted.finish() == bytes(PIECE)
    with pytest.raises(MalformedAnswerError, match="raise 'max_answer_mib'"):
        Body(encoding, PIECE - 1).feed(data)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", None])
def test_no_bytes_at_all_are_an_empty_body(encoding: str | None) -> None:
    assert Body(encoding, 9).finish() == b""

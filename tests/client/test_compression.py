"""Compressed answers: each split of the bytes gives the same body, and no piece is large."""

from __future__ import annotations

import gzip
import os
import zlib
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
    accepted = Body(encoding, PIECE, status=200)
    accepted.feed(data)
    assert accepted.finish() == bytes(PIECE)
    with pytest.raises(MalformedAnswerError, match="raise 'max_answer_mib'"):
        Body(encoding, PIECE - 1, status=200).feed(data)


@compressions
@pytest.mark.parametrize("status", [199, 300, 304, 404, 429, 500])
def test_the_body_of_an_error_is_kept_up_to_the_limit(encoding: str, compress: Compress, status: int) -> None:
    body = Body(encoding, PIECE - 1, status=status)
    assert not body.feed(compress(bytes(PIECE)))
    assert body.finish() == bytes(PIECE - 1)
    assert "larger than" in body.unread


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_broken_body_is_an_error_only_if_the_status_is_a_success(status: int) -> None:
    text = os.urandom(PIECE)
    broken = gzip.compress(text)[:-8] + bytes(8)
    with pytest.raises(TransportError, match="the gzip data of the answer is broken"):
        Body("gzip", 9 * PIECE, status=status).feed(broken)
    body = Body("gzip", 9 * PIECE, status=status + 200)
    assert body.feed(broken[:-8])
    assert not body.feed(broken[-8:])
    assert body.finish() == text
    assert "the gzip data of the answer is broken" in body.unread


@CUT
def test_what_came_before_a_cut_is_kept_if_the_status_is_an_error(encoding: str, compress: Compress) -> None:
    body = Body(encoding, PIECE, status=404)
    assert body.feed(compress(b"this was not found")[:-1])
    assert body.finish() == b"this was not found"
    assert body.unread == f"the {encoding} data of the answer is cut"


def test_data_that_is_cut_inside_is_cut() -> None:
    decompressor = Decompressor("gzip, deflate")
    list(decompressor.feed(zlib.compress(gzip.compress(b"body")[:-1])))
    with pytest.raises(TransportError, match="the gzip data of the answer is cut"):
        decompressor.close()


@pytest.mark.parametrize("encoding", ["br", "gzip, br", "br, gzip", "what-else", ", ".join(["gzip"] * 5)])
def test_bytes_in_an_unknown_encoding_stay_as_they_are(encoding: str) -> None:
    body = Body(encoding, 9, status=200)
    assert body.feed(b"anything")
    assert body.finish() == b"anything"
    assert f"the encoding {encoding[:40]!r}" in body.unread


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", None])
def test_no_bytes_at_all_are_an_empty_body(encoding: str | None) -> None:
    body = Body(encoding, 9, status=200)
    assert (body.finish(), body.unread) == (b"", "")

"""Answers that are odd but legal, or that gateways send anyway, byte for byte: both transports read them alike."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from airflow_provider_databrain.client.call import Resend
from airflow_provider_databrain.client.errors import (
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    ServerError,
    TransportError,
)
from airflow_provider_databrain.client.transport.head import MAX_BYTES, plain, read_head
from airflow_provider_databrain.databrain.api.embeds import create_dashboard_embed
from tests.client.conftest import Run
from tests.client.transport.servers import CREATED, server_at
from tests.support import embed, raw_server

CREATE = create_dashboard_embed(embed())
JSON = b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"


def answer(
    more: bytes = b"",
    body: bytes = CREATED,
    *,
    first: bytes = b"HTTP/1.1 200 OK",
    length: bool = True,
    kind: bytes = JSON,
) -> bytes:
    """An answer with the headers ``more``."""
    sized = b"Content-Length: %d\r\n" % len(body) if length else b""
    return first + b"\r\n" + kind + sized + more + b"\r\n" + body


def chunks(extension: bytes = b"", trailer: bytes = b"") -> bytes:
    """The body in two chunks."""
    half = len(CREATED) // 2
    parts = [b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in (CREATED[:half], CREATED[half:])]
    return b"".join(parts) + b"0\r\n" + trailer + b"\r\n"


def cookies(number: int, size: int = 10) -> bytes:
    """Many headers."""
    return b"".join(b"Set-Cookie: a%d=%s\r\n" % (count, b"c" * size) for count in range(number))


ACCEPTED = {
    "a line of 8 KiB": answer(b"Content-Security-Policy: " + b"a" * 8192 + b"\r\n"),
    "a line of 65 KiB": answer(b"Content-Security-Policy: " + b"a" * 65 * 1024 + b"\r\n"),
    "a line of 200 KiB": answer(b"X-A: " + b"a" * 200 * 1024 + b"\r\n"),
    "101 headers": answer(cookies(101)),
    "1000 headers": answer(cookies(1000)),
    "1000 names": answer(b"".join(b"X-%d: 1\r\n" % number for number in range(1000))),
    "60 long headers": answer(cookies(60, 4000)),
    "many headers before the length": answer(cookies(150) + b"Content-Length: %d\r\n" % len(CREATED), length=False),
    "a long reason": answer(first=b"HTTP/1.1 200 " + b"r" * 9000),
    "no reason": answer(first=b"HTTP/1.1 200"),
    "a reason that is no ASCII": answer(first=b"HTTP/1.1 200 \xc3\xa9\xff"),
    "a later version": answer(first=b"HTTP/1.2 200 OK"),
    "an older version": answer(first=b"HTTP/1.0 200 OK"),
    "an older version without a length": answer(first=b"HTTP/1.0 200 OK", length=False),
    "Latin-1": answer(b"X-A: caf\xe9\r\n"),
    "UTF-8": answer("X-A: café 密\r\n".encode()),
    "a NUL": answer(b"X-A: a\0b\r\n"),
    "a folded line": answer(b"X-A: one\r\n two\r\n\tthree\r\n"),
    "a folded content type": answer(kind=b"Content-Type:\r\n application/json\r\n"),
    "no value": answer(b"X-A:\r\nX-B: \r\n"),
    "no blank after the colon": answer(b"X-A:1\r\n"),
    "a blank before the colon": answer(b"X-A : 1\r\n"),
    "a blank in a name": answer(b"X A: 1\r\n"),
    "a line without a colon": answer(b"garbage\r\n"),
    "the same header twice": answer(JSON + b"X-A: 1\r\nX-A: 2\r\n"),
    "the same length twice": answer(b"Content-Length: %d\r\n" % len(CREATED)),
    "a list of lengths": answer(b"Content-Length: %d, %d\r\n" % (len(CREATED), len(CREATED)), length=False),
    "100": b"HTTP/1.1 100 Continue\r\n\r\n" + answer(),
    "102": b"HTTP/1.1 102 Processing\r\n\r\n" + answer(),
    "103": HINTS + answer(),
    "103 three times": HINTS * 3 + answer(),
    "100 and 103": b"HTTP/1.1 100\r\n\r\n" + HINTS + answer(CHUNKED, chunks(), length=False),
    "an unknown interim status": b"HTTP/1.1 199 Odd\r\nContent-Length: 7\r\n\r\n" + answer(),
    "chunks": answer(CHUNKED, chunks(), length=False),
    "chunks and then a length": answer(CHUNKED + b"Content-Length: 9999\r\n", chunks(), length=False),
    "a length and then chunks": answer(b"Content-Length: 3\r\n" + CHUNKED, chunks(), length=False),
    "chunks, capital": answer(b"TRANSFER-ENCODING: Chunked\r\n", chunks(), length=False),
    "extensions of chunks": answer(CHUNKED, chunks(b';a=b;c="d"'), length=False),
    "a trailer": answer(CHUNKED + b"Trailer: X-T\r\n", chunks(b"", b"X-T: 1\r\n"), length=False),
    "identity as transfer encoding": answer(b"Transfer-Encoding: identity\r\n"),
    "no length, and close": answer(b"Connection: close\r\n", length=False),
    "no length": answer(length=False),
    "line feeds only": answer().replace(b"\r\n", b"\n"),
    "a blank line first": b"\r\n" + answer(),
    "an unknown charset": answer(kind=b"Content-Type: application/json; charset=nonsense\r\n"),
    "no content type": answer(kind=b""),
    "capital letters": answer(kind=b"CONTENT-TYPE: APPLICATION/JSON\r\n"),
    "problem+json": answer(kind=b"Content-Type: application/problem+json\r\n"),
    "a broken content type": answer(kind=b"Content-Type: ;;;=\r\n"),
    "a broken cookie": answer(b"Set-Cookie: ;;==\x01;\r\n"),
    "a BOM": answer(body=b"\xef\xbb\xbf" + CREATED),
    "UTF-16": answer(body=CREATED.decode().encode("utf-16")),
    "UTF-16 without a BOM": answer(body=CREATED.decode().encode("utf-16-le")),
    "blanks around": answer(body=b" \r\n\t" + CREATED + b"\n\n"),
    "an unknown success": answer(first=b"HTTP/1.1 299 X"),
}


@pytest.mark.parametrize("raw", ACCEPTED.values(), ids=ACCEPTED)
def test_an_odd_answer_is_read(run: Run, raw: bytes) -> None:
    once = replace(CREATE, endpoint=replace(CREATE.endpoint, resend=Resend.IF_UNPROCESSED))
    with raw_server(raw) as (url, met):
        assert run(server_at(url, max_retry_seconds=0), once).id == "client-acme"
    assert len(met) == 1


REFUSED: dict[str, tuple[bytes, type[ApiError], int | None]] = {
    "a head of more than 256 KiB": (answer(cookies(90, 4000)), TransportError, None),
    "a line of more than 256 KiB": (answer(b"X-A: " + b"a" * MAX_BYTES + b"\r\n"), TransportError, None),
    "a line without an end": (b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 2 * MAX_BYTES, TransportError, None),
    "interim answers without an end": (HINTS * 6000, TransportError, None),
    "only an interim answer": (HINTS, TransportError, None),
    "a head that is cut": (b"HTTP/1.1 200 OK\r\nX-A: 1\r\n", TransportError, None),
    "a head that is cut within a line": (b"HTTP/1.1 200 OK\r\nContent-Le", TransportError, None),
    "lengths that differ": (answer(b"Content-Length: 7\r\n"), TransportError, None),
    "a length below 0": (answer(b"Content-Length: -1\r\n", length=False), TransportError, None),
    "a length in words": (answer(b"Content-Length: many\r\n", length=False), TransportError, None),
    "a length that is too large": (answer(b"Content-Length: 999\r\n", length=False), TransportError, None),
    "chunks that are cut": (answer(CHUNKED, chunks()[:-12], length=False), TransportError, None),
    "HTTP/2": (answer(first=b"HTTP/2 200 OK"), TransportError, None),
    "no head": (CREATED, TransportError, None),
    "another protocol": (b"SSH-2.0-x\r\n", TransportError, None),
    "a status of two digits": (answer(first=b"HTTP/1.1 20 X"), TransportError, None),
    "101": (b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", InvalidRequestError, 101),
    "204 with a length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", MalformedAnswerError, 204),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", InvalidRequestError, 304),
    "no body": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", MalformedAnswerError, 200),
    "Latin-1 as JSON": (answer(body=b'{"id": "caf\xe9"}'), MalformedAnswerError, 200),
    "401 with two challenges": (
        answer(b"WWW-Authenticate: Negotiate\r\nWWW-Authenticate: Digest realm=x\r\n", first=b"HTTP/1.1 401 X"),
        AuthenticationError,
        401,
    ),
    "999": (answer(first=b"HTTP/1.1 999 X"), ServerError, 999),
}


@pytest.mark.parametrize(("raw", "kind", "status"), REFUSED.values(), ids=REFUSED)
def test_an_answer_that_cannot_be_read_is_the_same_error(
    run: Run, raw: bytes, kind: type[ApiError], status: int | None
) -> None:
    with raw_server(raw) as (url, _), pytest.raises(ApiError) as caught:
        run(server_at(url, max_retry_seconds=0), CREATE)
    assert (type(caught.value), caught.value.status) == (kind, status)
    if kind is TransportError:
        assert (caught.value.transient, caught.value.ambiguous) == (True, True)


def test_a_head_that_is_too_long_is_named(run: Run) -> None:
    with raw_server(answer(cookies(90, 4000))) as (url, _), pytest.raises(TransportError, match="more than 256 KiB"):
        run(server_at(url, max_retry_seconds=0), CREATE)


def test_what_a_transport_needs_is_kept_among_any_number_of_headers() -> None:
    head = plain(b"HTTP/1.1 429 X\r\n" + cookies(500) + b"Retry-After: 7\r\nDate: x\r\nX-RateLimit-Reset: 9\r\n\r\n")
    assert head is not None
    assert all(
        line in head for line in (b"\r\nRetry-After: 7\r\n", b"\r\nDate: x\r\n", b"\r\nX-RateLimit-Reset: 9\r\n")
    )
    assert head.count(b"\r\n") < 100


def test_an_interim_answer_counts_for_the_limit() -> None:
    with pytest.raises(ValueError, match="more than 256 KiB"):
        read_head(io.BytesIO(HINTS * (MAX_BYTES // len(HINTS) + 1)))

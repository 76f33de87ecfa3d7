"""The stream of a dashboard's tiles, as values: bytes in, events out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_databrain.client.call import Request, Resend
from airflow_provider_databrain.client.dialect import MESSAGE_LIMIT
from airflow_provider_databrain.client.errors import ApiError, MalformedAnswerError
from airflow_provider_databrain.client.models import reader
from airflow_provider_databrain.posthog.api.endpoint import DASHBOARD, for_dashboard, read_nothing, scopeless_endpoint
from airflow_provider_databrain.posthog.api.models import Dashboard, Tile

STREAM_TILES = scopeless_endpoint(
    "stream tiles", "GET", f"{DASHBOARD}stream_tiles/", "retrieve_dashboard", Resend.ALWAYS
)
MOST_BYTES = 64 * 1024 * 1024
"""Of one event."""


@dataclass(frozen=True)
class Metadata:
    """The first event: the dashboard with its first tiles, two at most."""

    dashboard: Dashboard


@dataclass(frozen=True)
class TileArrived:
    """One further tile.

    :param order: its place, from 2.
    """

    order: int
    tile: Tile


@dataclass(frozen=True)
class TileFailed:
    """A tile that PostHog could not calculate; the stream goes on."""

    tile_id: int
    message: str


Event = Metadata | TileArrived | TileFailed


class StreamCutError(ApiError):
    """The stream ended before PostHog said that it was complete."""

    transient = True


class StreamFailedError(ApiError):
    """PostHog gave the stream up, in its own words."""

    transient = True


_read_dashboard = reader(Dashboard)
_read_tile = reader(Tile)


def stream_tiles(dashboard_id: int, *, layout_size: str = "sm") -> Request[None]:
    """A dashboard's tiles as a stream; see ``posthog_stream.TileStream`` for what comes.

    :param layout_size: ``sm`` or ``xs``.
    """
    if layout_size not in ("sm", "xs"):
        raise ValueError(f"layout_size is {layout_size!r}; it is 'sm' or 'xs'")
    # In this order, because PostHog garbles its errors where only the stream's type is asked for.
    accept = "application/json, text/event-stream"
    return Request(
        STREAM_TILES, read_nothing, query={"layoutSize": layout_size}, accept=accept, **for_dashboard(dashboard_id)
    )


class TileStream:
    """Reads a stream of tiles, whatever pieces it comes in.

    :param request: what it answers, for errors.
    :param redact: blacks out secrets in what PostHog says of errors.
    """

    def __init__(self, request: Request[Any], redact: Callable[[str], str] = str) -> None:
        self._request = request
        self._redact = redact
        self._rest = b""
        self.complete = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that a piece completes, up to the one that is an error. Take all before the next piece.

        :raises StreamFailedError: PostHog gave up.
        :raises MalformedAnswerError: an event is not what PostHog documents, or too large.
        """
        # A line's end may come in two pieces.
        *frames, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        if len(self._rest) > MOST_BYTES:
            raise self._annotated(MalformedAnswerError("an event of the stream is too large", transient=False))
        for frame in frames:
            event = self._read(frame)
            if event is not None:
                yield event

    def close(self) -> None:
        """Call it at the end of the bytes.

        :raises StreamCutError: the stream was not complete.
        """
        if not self.complete:
            raise self._annotated(StreamCutError("the stream ended before it was complete"))

    def _read(self, frame: bytes) -> Event | None:
        data = b"\n".join(line[5:].lstrip() for line in frame.split(b"\n") if line.startswith(b"data:"))
        if not data:
            return None
        try:
            return self._event(json.loads(data))
        except MalformedAnswerError as malformed:
            raise self._annotated(malformed) from None
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._annotated(MalformedAnswerError("an event of the stream is no JSON of the known shape")) from None

    def _event(self, payload: Any) -> Event | None:
        match payload["type"]:
            case "metadata":
                return Metadata(_read_dashboard(payload["dashboard"]))
            case "tile":
                return TileArrived(int(payload["order"]), _read_tile(payload["tile"]))
            case "error" if payload.get("tile_id") is not None:
                return TileFailed(int(payload["tile_id"]), self._redact(str(payload.get("error"))))
            case "error":
                raise self._annotated(StreamFailedError(self._redact(str(payload.get("error")))[:MESSAGE_LIMIT]))
            case "complete":
                self.complete = True
        # Of a kind that later servers may have.
        return None

    def _annotated(self, error: ApiError) -> ApiError:
        error.endpoint = self._request.endpoint.name
        error.dashboard = self._request.dashboard
        return error

"""The stream of a dashboard's tiles: bytes in, events out. No network.

PostHog sends the tiles as it calculates them, and ends with the event ``complete``. A stream without that event was
cut. The events do not depend on how the bytes are split into chunks.
"""

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
"""Largest size of one event."""


@dataclass(frozen=True)
class Metadata:
    """The first event: the dashboard with at most two of its tiles."""

    dashboard: Dashboard


@dataclass(frozen=True)
class TileArrived:
    """One more tile.

    :param order: position of the tile, from 2.
    """

    order: int
    tile: Tile


@dataclass(frozen=True)
class TileFailed:
    """PostHog could not calculate this tile; the stream continues."""

    tile_id: int
    message: str


Event = Metadata | TileArrived | TileFailed


class StreamCutError(ApiError):
    """The stream ended without the event ``complete``."""

    transient = True


class StreamFailedError(ApiError):
    """PostHog ended the stream with an error; the message is PostHog's."""

    transient = True


_read_dashboard = reader(Dashboard)
_read_tile = reader(Tile)


def stream_tiles(dashboard_id: int, *, layout_size: str = "sm") -> Request[None]:
    """Request a dashboard's tiles as a stream. ``TileStream`` reads the answer.

    :param layout_size: order the tiles by the layout of this size, ``sm`` or ``xs``.
    :raises ValueError: ``layout_size`` has another value.
    """
    if layout_size not in ("sm", "xs"):
        raise ValueError(f"layout_size is {layout_size!r}; it must be 'sm' or 'xs'")
    # JSON must come first: if only the stream's type is accepted, PostHog's error answers have a broken format.
    accept = "application/json, text/event-stream"
    return Request(
        STREAM_TILES, read_nothing, query={"layoutSize": layout_size}, accept=accept, **for_dashboard(dashboard_id)
    )


class TileStream:
    """Reads the events from the chunks of a stream.

    :param request: the request that the stream answers; errors name it.
    :param redact: removes secrets from PostHog's error messages.
    """

    def __init__(self, request: Request[Any], redact: Callable[[str], str] = str) -> None:
        self._request = request
        self._redact = redact
        self._rest = b""
        self.complete = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield the events that end in this chunk. Read all of them before feeding the next chunk.

        :raises StreamFailedError: PostHog ended the stream with an error.
        :raises MalformedAnswerError: an event is too large or does not have the documented shape.
        """
        # A line end may be split between two chunks.
        *frames, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        if len(self._rest) > MOST_BYTES:
            raise self._annotated(MalformedAnswerError("an event of the stream is too large", transient=False))
        for frame in frames:
            event = self._read(frame)
            if event is not None:
                yield event

    def close(self) -> None:
        """Check the end of the stream. Call this after the last chunk.

        :raises StreamCutError: the stream is not complete.
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
            raise self._annotated(
                MalformedAnswerError("an event of the stream does not have the documented shape")
            ) from None

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
        # A newer server may send other types; skip them.
        return None

    def _annotated(self, error: ApiError) -> ApiError:
        error.endpoint = self._request.endpoint.name
        error.dashboard = self._request.dashboard
        return error

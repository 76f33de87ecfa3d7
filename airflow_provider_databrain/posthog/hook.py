"""PostHog's hook.

Each operation is a function in ``posthog.api`` and one line here, which makes the sync and the async method from it.
Only methods that need the connection's URL or a stream are written out.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, closing
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from airflow_provider_databrain.airflow_compat import Connection
from airflow_provider_databrain.base.hook import ApiHook, ConnectionExtras, both
from airflow_provider_databrain.client.answer import without_quotes
from airflow_provider_databrain.client.call import Token
from airflow_provider_databrain.client.errors import ApiError
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.posthog.api import (
    collaborators,
    dashboards,
    endpoint,
    fields,
    insights,
    marks,
    sharing,
    stream,
    templates,
    tiles,
)

CURRENT = "@current"
"""The project that the key's owner has open. If the key is limited to one project, it is that project."""
CAPTURE_HOSTS = ("us.i.posthog.com", "eu.i.posthog.com", "app.i.posthog.com")
"""Hosts that receive events. They have no dashboards API."""


class PostHogExtras(ConnectionExtras):
    """The extras of a ``posthog`` connection.

    :param region: ``us`` or ``eu``; used if the connection has no host.
    :param project_id: number of the project, or ``@current``.
    """

    region: Literal["us", "eu"] = "us"
    project_id: Annotated[str, Field(pattern=r"^([1-9][0-9]*|@current)$", coerce_numbers_to_str=True)] = CURRENT


class PostHogHook(ApiHook[PostHogExtras]):
    """Client of PostHog's dashboards API, sync and async. The connection's password is a personal API key.

    PostHog refuses some actions to every key that has scopes, and every new key has scopes. The error names the method
    to use instead: ``build_dashboard`` for ``create_from_template_json``, ``transfer_tile`` for ``move_tile``,
    ``retrieve_dashboard`` for ``stream_tiles``.

    :param posthog_conn_id: an Airflow connection of type ``posthog``.
    :param project_id: replaces the connection's ``project_id``.
    :param connect_timeout: seconds; replaces the connection's value.
    :param read_timeout: seconds; replaces the connection's value.
    :param max_retry_seconds: seconds; replaces the connection's value.
    :param max_call_seconds: seconds; replaces the connection's value.
    """

    conn_name_attr = "posthog_conn_id"
    default_conn_name = "posthog_default"
    conn_type = "posthog"
    hook_name = "PostHog"
    extras_model = PostHogExtras
    default_url = endpoint.US_URL
    api_path = r"/api/(?:projects|environments|organizations|users)|/api$"
    page_path = r"/(?:project|dashboard)/\d+|/login$"

    def __init__(
        self,
        posthog_conn_id: str = default_conn_name,
        project_id: str | int | None = None,
        **timeouts: float | None,
    ) -> None:
        super().__init__(posthog_conn_id, **timeouts)
        self.posthog_conn_id = posthog_conn_id
        if project_id not in (None, ""):
            self._overrides["project_id"] = str(project_id)

    def tokens(self, connection: Connection, extras: PostHogExtras) -> Mapping[Token, str | None]:
        """The personal API key."""
        return {endpoint.API_KEY: connection.password}

    def url_without_host(self, extras: PostHogExtras) -> str:
        """PostHog Cloud's URL in the region."""
        return endpoint.EU_URL if extras.region == "eu" else self.default_url

    def options(self, extras: PostHogExtras) -> Mapping[str, Any]:
        """The project, which is part of every path."""
        return {"parameters": {"project_id": extras.project_id}}

    def check_url(self, url: str) -> None:
        """Refuse the hosts in ``CAPTURE_HOSTS``, and the address of a page."""
        super().check_url(url)
        if (urlsplit(url).hostname or "").rstrip(".") in CAPTURE_HOSTS:
            raise ConfigurationError(
                f"Connection {self.conn_id!r} names a host that receives events and has no dashboards API: "
                f"fill Host with {endpoint.US_URL} or {endpoint.EU_URL}."
            )

    @property
    def project_id(self) -> str:
        """Number of the project, or ``@current``."""
        return self.extras.project_id

    list_dashboards, alist_dashboards = both(dashboards.list_dashboards)
    create_dashboard, acreate_dashboard = both(fields.create_as_asked)
    find_or_create_dashboard, afind_or_create_dashboard = both(marks.find_or_create_dashboard)
    retrieve_dashboard, aretrieve_dashboard = both(dashboards.retrieve_dashboard)
    update_dashboard, aupdate_dashboard = both(marks.update_as_asked)
    delete_dashboard, adelete_dashboard = both(dashboards.delete_dashboard)
    restore_dashboard, arestore_dashboard = both(dashboards.restore_dashboard)

    create_from_template_json, acreate_from_template_json = both(templates.create_from_template_json)
    build_dashboard, abuild_dashboard = both(templates.build_dashboard)

    move_tile, amove_tile = both(tiles.move_tile)
    transfer_tile, atransfer_tile = both(tiles.transfer_tile)
    copy_tile, acopy_tile = both(tiles.copy_tile)
    create_text_tile, acreate_text_tile = both(tiles.create_text_tile)
    update_text_tile, aupdate_text_tile = both(tiles.update_text_tile)
    delete_tile, adelete_tile = both(tiles.delete_tile)
    reorder_tiles, areorder_tiles = both(tiles.reorder_tiles)

    create_insight, acreate_insight = both(insights.create_insight)
    update_insight, aupdate_insight = both(insights.update_insight)
    run_insights, arun_insights = both(insights.run_insights)

    list_collaborators, alist_collaborators = both(collaborators.list_collaborators)
    add_collaborator, aadd_collaborator = both(collaborators.add_collaborator)
    remove_collaborator, aremove_collaborator = both(collaborators.remove_collaborator)

    get_sharing, aget_sharing = both(sharing.get_sharing)
    update_sharing, aupdate_sharing = both(sharing.share)
    refresh_sharing, arefresh_sharing = both(sharing.refresh_sharing)
    create_share_password, acreate_share_password = both(sharing.new_share_password)
    delete_share_password, adelete_share_password = both(sharing.delete_share_password)

    def stream_tiles(self, dashboard_id: int, *, layout_size: str = "sm") -> Generator[stream.Event, None, None]:
        """A dashboard and its tiles, one by one as PostHog calculates them; see ``posthog.api.stream``.

        :param layout_size: order the tiles by the layout of this size, ``sm`` or ``xs``.
        :raises StreamCutError: the stream ended before it was complete.
        :raises StreamFailedError: PostHog ended the stream with an error.
        """
        request = stream.stream_tiles(dashboard_id, layout_size=layout_size)
        reader = stream.TileStream(request, self.server.redact)
        with closing(self.transport().stream(request)) as chunks:
            for chunk in chunks:
                yield from reader.feed(chunk)
        reader.close()

    async def astream_tiles(self, dashboard_id: int, *, layout_size: str = "sm") -> AsyncGenerator[stream.Event, None]:
        """The async form of ``stream_tiles``."""
        request = stream.stream_tiles(dashboard_id, layout_size=layout_size)
        reader = stream.TileStream(request, self.server.redact)
        async with aclosing(self.atransport().stream(request)) as chunks:
            async for chunk in chunks:
                for event in reader.feed(chunk):
                    yield event
        reader.close()

    def public_url(self, dashboard_id: int, *, embedded: bool = False) -> str | None:
        """The URL that shows the dashboard to anyone; None if it is not shared. It is a secret.

        :param embedded: return the URL for an iframe.
        """
        return sharing.public_url(self.server.base_url, self.get_sharing(dashboard_id), embedded=embedded)

    async def apublic_url(self, dashboard_id: int, *, embedded: bool = False) -> str | None:
        """The async form of ``public_url``."""
        return sharing.public_url(self.server.base_url, await self.aget_sharing(dashboard_id), embedded=embedded)

    def test_connection(self) -> tuple[bool, str]:
        """List one dashboard. This needs only the scope dashboard:read."""
        hook = PostHogHook(self.conn_id, **{**self._overrides, "max_retry_seconds": 0.0})
        try:
            page = hook.run(dashboards.list_page(limit=1))
        except (ApiError, ConfigurationError) as error:
            return False, without_quotes(error) if isinstance(error, ApiError) else str(error)
        finally:
            hook.close()
        return True, f"project {hook.project_id}: {page.count if page.count is not None else 'some'} dashboards"

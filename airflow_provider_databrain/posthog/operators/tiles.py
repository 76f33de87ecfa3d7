"""Operators that copy a tile, delete a tile and add a text.

Only a newer PostHog has these calls. On an older one the task fails with an ``EndpointMissingError``, which says what
to use instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.base.templating import positive_int
from airflow_provider_databrain.posthog.operators.base import OneDashboardOperator


class CopyPostHogTileOperator(OneDashboardOperator):
    """Show a tile's insight or text on another dashboard too; returns that dashboard's id.

    If that dashboard already shows it, nothing happens. Nothing is duplicated: both dashboards show the same insight or
    text. A widget is different: PostHog duplicates it each time.

    :param dashboard_id: number of the dashboard that is to show it too (templated).
    :param from_dashboard_id: number of the dashboard that has the tile (templated).
    :param tile_id: number of the tile (templated).
    """

    template_fields: Sequence[str] = (*OneDashboardOperator.template_fields, "from_dashboard_id", "tile_id")

    def __init__(self, *, from_dashboard_id: int | str, tile_id: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.from_dashboard_id = from_dashboard_id
        self.tile_id = tile_id

    def execute(self, context: Context) -> int:
        """Copy the tile; returns the id of the dashboard that shows it too."""
        from airflow_provider_databrain.client.errors import AlreadyExistsError

        number = self.number()
        source = positive_int(self.from_dashboard_id, "from_dashboard_id")
        tile = positive_int(self.tile_id, "tile_id")
        try:
            self.hook.copy_tile(source, tile, number)
        except AlreadyExistsError as already:
            already.raise_unless_from_api()
            self.log.info("Dashboard %d already shows what tile %d of dashboard %d shows", number, tile, source)
        return number


class DeletePostHogTileOperator(OneDashboardOperator):
    """Remove a tile from a dashboard. If it is already removed, nothing happens. Its insight or text itself is kept.

    :param dashboard_id: number of the dashboard (templated).
    :param tile_id: number of the tile (templated).
    """

    template_fields: Sequence[str] = (*OneDashboardOperator.template_fields, "tile_id")

    def __init__(self, *, tile_id: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tile_id = tile_id

    def execute(self, context: Context) -> None:
        """Remove the tile."""
        from airflow_provider_databrain.client.errors import NotFoundError
        from airflow_provider_databrain.posthog.api.endpoint import is_gone

        number, tile = self.number(), positive_int(self.tile_id, "tile_id")
        try:
            self.hook.delete_tile(number, tile)
        except NotFoundError as error:
            if not is_gone(error):
                raise
            self.log.info("Dashboard %d has no tile %d, or does not exist", number, tile)


class AddPostHogTextTileOperator(OneDashboardOperator):
    """Add a text to a dashboard, or find the one with the same words; returns its tile's id.

    PostHog adds another text in each call. So this looks first, and a retry finds the text of an earlier try.

    :param dashboard_id: number of the dashboard (templated).
    :param body: Markdown, at most 4000 characters (templated).
    :param layouts: the places of a new text, for example ``{"sm": {"x": 0, "y": 0, "w": 12, "h": 1}}`` (templated).
    :param color: the color of a new text, for example ``blue`` (templated).
    """

    template_fields: Sequence[str] = (*OneDashboardOperator.template_fields, "body", "layouts", "color")
    template_fields_renderers = {"body": "md", "layouts": "json"}

    def __init__(
        self, *, body: str, layouts: Mapping[str, Any] | None = None, color: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.body = body
        self.layouts = layouts
        self.color = color

    def execute(self, context: Context) -> int:
        """Find or add the text; returns its tile's id."""
        from airflow_provider_databrain.posthog.api.tiles import create_text_tile

        number = self.number()
        # Made first, because it refuses an invalid text.
        new = create_text_tile(number, self.body, layouts=self.layouts, color=self.color)
        for tile in self.hook.retrieve_dashboard(number).tiles or ():
            if tile.text is not None and str(tile.text.get("body", "")).strip() == self.body.strip():
                self.log.info("Dashboard %d already has this text: tile %d", number, tile.id)
                return tile.id
        return self.hook.run(new).id

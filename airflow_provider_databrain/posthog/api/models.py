"""Models of what PostHog receives about dashboards, and of its answers.

Source: the vendor's API reference (posthog.com/docs/api/dashboards) and answers of a real PostHog. Each release adds
fields. So an answer's unknown fields are kept, and every known field except ``id`` may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from airflow_provider_databrain.client.models import Extensible, Received

LONGEST_NAME = 400
"""Characters of a dashboard's name."""
LONGEST_TAG = 255
LONGEST_TEXT = 4000
"""Characters of a text tile."""
LARGEST_NUMBER = 2**31 - 1
"""The largest id that PostHog's database stores."""
Id = Annotated[int, Field(strict=True, gt=0)]
Level = Literal[21, 37]
"""Who may edit: 21 means everyone in the project, 37 means collaborators only."""


class DashboardChange(Extensible):
    """The fields of a dashboard to change. A field that is left out keeps its value.

    PostHog answers some wrong values with 500, as if it had failed itself: a long tag or text, and a NUL character. So
    they are refused here. It answers an unknown ``data_color_theme_id`` so too, which cannot be known here.

    :param name: at most 400 characters; not unique.
    :param tags: replace all tags. PostHog ignores them if the organization has no tagging.
    :param filters: any JSON object, for example ``{"date_from": "-7d"}``.
    :param tiles: an item with ``id`` changes a tile, or removes it if it has ``"deleted": True``. An item with ``text``
        and no ``id`` adds a tile.
    """

    model_config = ConfigDict(alias_generator=None)

    name: Annotated[str, Field(max_length=LONGEST_NAME)] | None = None
    description: str | None = None
    pinned: bool | None = None
    tags: list[Annotated[str, Field(max_length=LONGEST_TAG)]] | None = None
    restriction_level: Level | None = None
    filters: dict[str, JsonValue] | None = None
    variables: dict[str, JsonValue] | None = None
    breakdown_colors: list[JsonValue] | None = None
    data_color_theme_id: Annotated[int, Field(le=LARGEST_NUMBER)] | None = None
    tiles: list[dict[str, JsonValue]] | None = None

    @model_validator(mode="after")
    def _storable(self) -> Self:
        fields = dict(self)
        if damaged := sorted(name for name, value in fields.items() if _has_nul(value)):
            raise ValueError(f"{', '.join(damaged)}: PostHog cannot store the NUL character")
        for tile in self.tiles or ():
            text = tile.get("text")
            body = text.get("body") if isinstance(text, Mapping) else None
            if isinstance(body, str) and len(body) > LONGEST_TEXT:
                raise ValueError(f"tiles: a text has {len(body)} characters; PostHog stores at most {LONGEST_TEXT}")
        return self


class NewDashboard(DashboardChange):
    """A dashboard to create.

    :param use_template: name of the template that provides the tiles, for example ``DEFAULT_APP``.
    :param use_dashboard: id of the dashboard to copy; it must be in the same project.
    :param duplicate_tiles: with ``use_dashboard``: copy the insights too. Otherwise both dashboards share them.
    :param create_in_folder: folder of the project tree, for example ``Airflow/KPIs``.
    """

    use_template: Annotated[str, Field(min_length=1)] | None = None
    use_dashboard: Id | None = None
    duplicate_tiles: bool | None = None
    create_in_folder: str | None = Field(default=None, alias="_create_in_folder")

    @model_validator(mode="after")
    def _without_tiles(self) -> Self:
        if self.tiles is not None:
            raise ValueError("tiles: PostHog ignores them at creation; add them with an update")
        return self


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any(_has_nul(name) or _has_nul(part) for name, part in value.items())
    return isinstance(value, list | tuple) and any(map(_has_nul, value))


class SharingSettings(Extensible):
    """How the public page of a dashboard looks."""

    model_config = ConfigDict(alias_generator=None)

    detailed: bool | None = None
    hide_extra_details: bool | None = Field(default=None, alias="hideExtraDetails")
    legend: bool | None = None
    no_header: bool | None = Field(default=None, alias="noHeader")
    show_inspector: bool | None = Field(default=None, alias="showInspector")
    whitelabel: bool | None = None
    theme: Literal["light", "dark", "system"] | None = None


class PostHogModel(Received):
    """Base of PostHog's answers. PostHog's own field names are in snake_case."""

    model_config = ConfigDict(alias_generator=None)


class InsightPlace(PostHogModel):
    """A dashboard that shows an insight."""

    dashboard_id: int
    deleted: bool | None = None


class Insight(PostHogModel):
    """An insight. ``dashboards`` are the ids of the dashboards that show it; newer servers send ``dashboard_tiles``."""

    id: int
    short_id: str | None = None
    name: str | None = None
    dashboards: list[int] | None = None
    dashboard_tiles: list[InsightPlace] | None = None


class Tile(PostHogModel):
    """One tile of a dashboard: an insight or a text."""

    id: int
    insight: Insight | None = None
    text: dict[str, Any] | None = None
    layouts: JsonValue = None
    color: str | None = None


class Dashboard(PostHogModel):
    """A dashboard. In a list, ``tiles`` is None.

    :param variables: those that the project has, by their code name, with the values of this dashboard.
    :param persisted_variables: what is stored; newer servers send it.
    """

    id: int
    name: str | None = None
    description: str | None = None
    tags: list[str] | None = None
    pinned: bool | None = None
    is_shared: bool | None = None
    deleted: bool | None = None
    created_at: str | None = None
    creation_mode: str | None = None
    last_refresh: str | None = None
    restriction_level: int | None = None
    filters: JsonValue = None
    variables: JsonValue = None
    persisted_variables: JsonValue = None
    breakdown_colors: JsonValue = None
    data_color_theme_id: int | None = None
    tiles: list[Tile] | None = None


class DashboardPage(PostHogModel):
    """One page of a list. ``next`` is the URL of the next page; None on the last page."""

    results: list[Dashboard]
    count: int | None = None
    next: str | None = None


class User(PostHogModel):
    """A member of the organization."""

    uuid: str | None = None
    email: str | None = None


class Collaborator(PostHogModel):
    """A member who may edit a restricted dashboard."""

    id: str
    level: int | None = None
    user: User | None = None


class SharePasswordInfo(PostHogModel):
    """A password of a shared dashboard, without the password."""

    id: int
    note: str | None = None
    is_active: bool | None = None


class SharePassword(PostHogModel):
    """A new password. ``password`` is a secret, and PostHog shows it only once."""

    id: int
    password: str = Field(repr=False)
    note: str | None = None


class Sharing(PostHogModel):
    """The sharing configuration of a dashboard.

    :param access_token: a secret: anyone who has it can see the dashboard. If the configuration was never saved
        (``created_at`` is None), each answer has a different token, and none of them works; use ``token``.
    """

    enabled: bool
    created_at: str | None = None
    access_token: str | None = Field(default=None, repr=False)
    settings: dict[str, JsonValue] | None = None
    password_required: bool | None = None
    share_passwords: list[SharePasswordInfo] | None = None

    @property
    def token(self) -> str | None:
        """The token that opens the public page; None if the dashboard is not shared."""
        return self.access_token if self.enabled and self.created_at else None

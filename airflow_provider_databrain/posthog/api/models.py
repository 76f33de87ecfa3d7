"""What PostHog is sent about dashboards, and what it answers.

Source: the vendor's API reference (posthog.com/docs/api/dashboards) and answers of a real PostHog. It adds fields with
each release, so that unknown ones are kept and every known one but ``id`` may be missing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from airflow_provider_databrain.client.models import Extensible, Received

Id = Annotated[int, Field(strict=True, gt=0)]
Level = Literal[21, 37]
"""Who may edit: 21 everyone in the project, 37 collaborators."""


class DashboardChange(Extensible):
    """Fields of a dashboard to be set; what is left out stays as it is.

    :param name: at most 400 characters; not unique.
    :param tags: replace the present ones; ignored where the organization has no tagging.
    :param filters: any JSON object, such as ``{"date_from": "-7d"}``.
    :param tiles: items with ``id`` change or (``"deleted": True``) remove a tile, items with ``text`` and no ``id`` add
        one.
    """

    model_config = ConfigDict(alias_generator=None)

    name: Annotated[str, Field(max_length=400)] | None = None
    description: str | None = None
    pinned: bool | None = None
    tags: list[str] | None = None
    restriction_level: Level | None = None
    filters: dict[str, JsonValue] | None = None
    variables: dict[str, JsonValue] | None = None
    breakdown_colors: list[JsonValue] | None = None
    data_color_theme_id: int | None = None
    tiles: list[dict[str, JsonValue]] | None = None


class NewDashboard(DashboardChange):
    """A dashboard to be created.

    :param use_template: name of the template that its tiles come from, such as ``DEFAULT_APP``.
    :param use_dashboard: id of the dashboard of the same project that it is a copy of.
    :param duplicate_tiles: with ``use_dashboard``: copy the insights too, instead of sharing them.
    :param create_in_folder: folder of the project tree, such as ``Airflow/KPIs``.
    """

    use_template: Annotated[str, Field(min_length=1)] | None = None
    use_dashboard: Id | None = None
    duplicate_tiles: bool | None = None
    create_in_folder: str | None = Field(default=None, alias="_create_in_folder")

    @model_validator(mode="after")
    def _without_tiles(self) -> Self:
        if self.tiles is not None:
            raise ValueError("tiles: PostHog ignores them at creation; add them by an update")
        return self


class SharingSettings(Extensible):
    """How a shared dashboard looks."""

    model_config = ConfigDict(alias_generator=None)

    detailed: bool | None = None
    hide_extra_details: bool | None = Field(default=None, alias="hideExtraDetails")
    legend: bool | None = None
    no_header: bool | None = Field(default=None, alias="noHeader")
    show_inspector: bool | None = Field(default=None, alias="showInspector")
    whitelabel: bool | None = None
    theme: Literal["light", "dark", "system"] | None = None


class PostHogModel(Received):
    """Base of PostHog's answers, whose fields are in snake_case."""

    model_config = ConfigDict(alias_generator=None)


class InsightPlace(PostHogModel):
    """A dashboard that shows an insight."""

    dashboard_id: int
    deleted: bool | None = None


class Insight(PostHogModel):
    """An insight; ``dashboards`` are the ids of those that show it, ``dashboard_tiles`` say the same of late."""

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
    """A dashboard. A list has no ``tiles``."""

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
    tiles: list[Tile] | None = None


class DashboardPage(PostHogModel):
    """One page of a list. ``next`` is the address of the following one, None at the end."""

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
    """A new password. ``password`` is a secret, and shown this once."""

    id: int
    password: str = Field(repr=False)
    note: str | None = None


class Sharing(PostHogModel):
    """How a dashboard is shared.

    :param access_token: a secret: whoever has it sees the dashboard. Of a configuration that was never saved
        (``created_at`` is None) it is another one in each answer and opens nothing; use ``token``.
    """

    enabled: bool
    created_at: str | None = None
    access_token: str | None = Field(default=None, repr=False)
    settings: dict[str, JsonValue] | None = None
    password_required: bool | None = None
    share_passwords: list[SharePasswordInfo] | None = None

    @property
    def token(self) -> str | None:
        """The token that opens the dashboard; None while it is not shared."""
        return self.access_token if self.enabled and self.created_at else None

"""Operators of PostHog: single calls, and those over a tenant table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_databrain.airflow_compat import BaseOperatorLink, Context, mask_secret
from airflow_provider_databrain.base.operator import ApiOperator
from airflow_provider_databrain.base.templating import own_key, whole
from airflow_provider_databrain.posthog.links import PostHogDashboardLink, PostHogSharedPageLink
from airflow_provider_databrain.tenants.operators.provision import ProvisionSharedOperator
from airflow_provider_databrain.tenants.operators.remove import RemoveTenantsOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.posthog.api.models import Dashboard, Sharing
    from airflow_provider_databrain.posthog.hook import PostHogHook
    from airflow_provider_databrain.posthog.target import PostHogTarget


class PostHogOperator(ApiOperator):
    """Base of the operators that talk to PostHog; further parameters: see ``ApiOperator``.

    :param posthog_conn_id: the Airflow connection (templated).
    :param project_id: instead of the connection's (templated).
    """

    template_fields: Sequence[str] = ("posthog_conn_id", "project_id")
    ui_color = "#fff3d6"
    page_url: str | None = None
    """Of the dashboard in PostHog, once there is one; a link in the UI."""

    def __init__(
        self, *, posthog_conn_id: str = "posthog_default", project_id: str | int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.posthog_conn_id = posthog_conn_id
        self.project_id = project_id

    @cached_property
    def hook(self) -> PostHogHook:
        """The hook, made when first used."""
        from airflow_provider_databrain.posthog.hook import PostHogHook

        return PostHogHook(self.posthog_conn_id, self.project_id, **self.timeouts)

    def note(self, dashboard_id: int) -> int:
        """Remember the dashboard for the link; returns its id."""
        project = self.hook.project_id
        within = "" if project.startswith("@") else f"/project/{project}"
        self.page_url = f"{self.hook.server.base_url}{within}/dashboard/{dashboard_id}"
        return dashboard_id


class OneDashboardOperator(PostHogOperator):
    """Base of what is done to one dashboard.

    :param dashboard_id: number of the dashboard (templated).
    """

    template_fields: Sequence[str] = (*PostHogOperator.template_fields, "dashboard_id")
    operator_extra_links: Collection[BaseOperatorLink] = (PostHogDashboardLink(),)

    def __init__(self, *, dashboard_id: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dashboard_id = dashboard_id

    def number(self) -> int:
        """The dashboard's number, of which templating may have made a text."""
        return self.note(whole(self.dashboard_id, "dashboard_id"))


class _FieldsOperator(PostHogOperator):
    """Base of the operators that set a dashboard's fields.

    :param name: at most 400 characters (templated).
    :param description: (templated)
    :param tags: (templated)
    :param pinned: show it at the top of the list.
    :param restriction_level: 21: everyone in the project may edit; 37: collaborators only (templated).
    :param filters: such as ``{"date_from": "-7d"}`` (templated).
    :param variables: (templated)
    """

    template_fields: Sequence[str] = ("name", "description", "tags", "restriction_level", "filters", "variables")
    template_fields_renderers = {"filters": "json", "variables": "json"}

    def __init__(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        pinned: bool | None = None,
        restriction_level: int | str | None = None,
        filters: Mapping[str, Any] | None = None,
        variables: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.description = description
        self.tags = tags
        self.pinned = pinned
        self.restriction_level = restriction_level
        self.filters = filters
        self.variables = variables

    def fields(self) -> dict[str, Any]:
        """What was given."""
        tags = [self.tags] if isinstance(self.tags, str) else self.tags
        level = self.restriction_level
        values: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "tags": None if tags is None else list(tags),
            "pinned": self.pinned,
            "restriction_level": None if level is None else whole(level, "restriction_level"),
            "filters": self.filters,
            "variables": self.variables,
        }
        return {name: value for name, value in values.items() if value is not None}


class CreatePostHogDashboardOperator(_FieldsOperator):
    """Create a dashboard, or find the one that an earlier run created; returns its id.

    PostHog makes one more with each create. So a dashboard carries a mark, made of ``key``, by which it is found again.
    Further parameters: those of ``UpdatePostHogDashboardOperator``.

    :param key: what the dashboard is found again by, unique in the project, such as a tenant's key (templated). Where
        it is not given, each Dag run makes its own, and only a retry finds what an earlier try made.
    :param use_template: name of the template that the tiles come from (templated).
    :param use_dashboard: number of the dashboard that it is a copy of (templated).
    :param duplicate_tiles: with ``use_dashboard``: copy the insights too, instead of sharing them.
    :param create_in_folder: folder of the project tree (templated).
    """

    template_fields: Sequence[str] = (
        *PostHogOperator.template_fields,
        *_FieldsOperator.template_fields,
        "key",
        "use_template",
        "use_dashboard",
        "create_in_folder",
    )
    operator_extra_links = (PostHogDashboardLink(),)

    def __init__(
        self,
        *,
        key: str | None = None,
        use_template: str | None = None,
        use_dashboard: int | str | None = None,
        duplicate_tiles: bool | None = None,
        create_in_folder: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.key = key
        self.use_template = use_template
        self.use_dashboard = use_dashboard
        self.duplicate_tiles = duplicate_tiles
        self.create_in_folder = create_in_folder

    def execute(self, context: Context) -> int:
        """Find or create; returns the dashboard's id."""
        from airflow_provider_databrain.posthog.api.models import NewDashboard

        origin = None if self.use_dashboard in (None, "") else whole(self.use_dashboard, "use_dashboard")
        new = NewDashboard(
            **self.fields(),
            use_template=self.use_template or None,
            use_dashboard=origin,
            duplicate_tiles=self.duplicate_tiles,
            create_in_folder=self.create_in_folder,
        )
        dashboard, created = self.hook.find_or_create_dashboard(new, self.key or own_key(context))
        self.log.info("Dashboard %d: %s", dashboard.id, "created" if created else "was there")
        return self.note(dashboard.id)


class CreatePostHogDashboardFromTemplateOperator(PostHogOperator):
    """Create a dashboard from a template as JSON, or find the one that an earlier run created; returns its id.

    :param template: ``template_name``, ``dashboard_description``, ``dashboard_filters`` and ``tiles`` (templated).
    :param key: as in ``CreatePostHogDashboardOperator`` (templated).
    :param method: ``template`` is PostHog's own action, refused to every key that has scopes; ``build`` makes the
        same of a dashboard, insights and tiles, with dashboard:write and insight:write; ``auto`` takes the second
        where the first is refused.
    """

    template_fields: Sequence[str] = (*PostHogOperator.template_fields, "template", "key")
    template_fields_renderers = {"template": "json"}
    operator_extra_links = (PostHogDashboardLink(),)

    def __init__(
        self,
        *,
        template: Mapping[str, Any],
        key: str | None = None,
        method: Literal["auto", "template", "build"] = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.template = template
        self.key = key
        self.method = method

    def execute(self, context: Context) -> int:
        """Find or create; returns the dashboard's id."""
        from airflow_provider_databrain.posthog.api.calls import mark_of, with_that_mark
        from airflow_provider_databrain.posthog.api.endpoints import check_template

        if self.method not in ("auto", "template", "build"):
            raise ValueError(f"method is {self.method!r}; it is 'auto', 'template' or 'build'. Nothing was sent.")
        check_template(self.template)
        mark = mark_of(self.key or own_key(context))
        if found := with_that_mark(self.hook.list_dashboards(), mark):
            self.log.info("Dashboard %d was there", found[0].id)
            return self.note(found[0].id)
        return self.note(self._create(mark).id)

    def _create(self, mark: str) -> Dashboard:
        from airflow_provider_databrain.client.errors import AuthenticationError
        from airflow_provider_databrain.posthog.api.calls import with_mark

        if self.method != "build":
            described = with_mark(self.template["dashboard_description"], mark)
            tags = [*(self.template.get("tags") or ()), mark]
            marked = {**self.template, "dashboard_description": described, "tags": tags}
            try:
                return self.hook.create_from_template_json(marked)
            except AuthenticationError as refused:
                if self.method == "template" or refused.status != 403:
                    raise
                self.log.info("The key has scopes: the dashboard is built step by step")
        return self.hook.build_dashboard(self.template, mark=mark)


class UpdatePostHogDashboardOperator(_FieldsOperator, OneDashboardOperator):
    """Change some of a dashboard's fields; returns its id. What is not given stays as it is.

    :param dashboard_id: number of the dashboard (templated).
    :param name: at most 400 characters (templated).
    :param description: (templated)
    :param tags: replace the present ones, the mark of a dashboard that is found by one included (templated).
    :param pinned: show it at the top of the list.
    :param restriction_level: 21: everyone in the project may edit; 37: collaborators only (templated).
    :param filters: such as ``{"date_from": "-7d"}`` (templated).
    :param variables: (templated)
    """

    template_fields: Sequence[str] = (*OneDashboardOperator.template_fields, *_FieldsOperator.template_fields)

    def execute(self, context: Context) -> int:
        """Update; returns the dashboard's id."""
        number = self.number()
        self.hook.update_dashboard(number, self.fields())
        return number


class DeletePostHogDashboardOperator(OneDashboardOperator):
    """Delete a dashboard; one that is deleted already is no error. ``PostHogHook.restore_dashboard`` brings it back.

    :param dashboard_id: number of the dashboard (templated).
    :param posthog_conn_id: the Airflow connection (templated).
    :param project_id: instead of the connection's (templated).
    :param delete_insights: delete those of its insights too that are on no other dashboard.
    """

    operator_extra_links: Collection[BaseOperatorLink] = ()

    def __init__(
        self,
        *,
        posthog_conn_id: str = "posthog_default",
        project_id: str | int | None = None,
        delete_insights: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.posthog_conn_id = posthog_conn_id
        self.project_id = project_id
        self.delete_insights = delete_insights

    @cached_property
    def vendor(self) -> PostHogTenants:
        """PostHog's side of this task."""
        return PostHogTenants(self.posthog_conn_id, self.project_id, self.timeouts)

    def execute(self, context: Context) -> None:
        """Delete."""
        from airflow_provider_databrain.client.errors import NotFoundError

        number = self.number()
        try:
            self.hook.delete_dashboard(number, delete_insights=self.delete_insights)
        except NotFoundError:
            self.log.info("Dashboard %d is deleted already", number)


class _SharingOperator(OneDashboardOperator):
    operator_extra_links: Collection[BaseOperatorLink] = (PostHogDashboardLink(), PostHogSharedPageLink())
    return_url: bool
    shared_url: str | None = None
    """Of the shared page, where it was asked for; a link in the UI."""

    def answer(self, sharing: Sharing) -> str | None:
        """The public address, where asked for."""
        from airflow_provider_databrain.posthog.api.endpoints import public_url

        if sharing.access_token:
            mask_secret(sharing.access_token)
        if self.return_url:
            self.shared_url = public_url(self.hook.server.base_url, sharing)
        return self.shared_url


class SharePostHogDashboardOperator(_SharingOperator):
    """Share a dashboard with whoever has its address, or end that; returns the address only where asked for.

    :param dashboard_id: number of the dashboard (templated).
    :param enabled: False ends the sharing.
    :param settings: how it looks, such as ``{"whitelabel": True}`` (templated).
    :param password_required: ask visitors for a password; needs an organization with advanced permissions.
    :param password: a password to add, 8 characters or more (templated, never shown as rendered). Each run adds one.
    :param return_url: return the public address, and show it as a link. It is a secret that XCom then holds.
    """

    template_fields: Sequence[str] = (*OneDashboardOperator.template_fields, "settings", "password")
    template_fields_renderers = {"settings": "json"}

    def __init__(
        self,
        *,
        enabled: bool = True,
        settings: Mapping[str, Any] | None = None,
        password_required: bool | None = None,
        password: str | None = None,
        return_url: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.enabled = enabled
        self.settings = settings
        self.password_required = password_required
        self.password = password
        self.return_url = return_url

    def execute(self, context: Context) -> str | None:
        """Share; returns the address where asked for."""
        number = self.number()
        if self.password:
            mask_secret(self.password)
        required = True if self.password else self.password_required
        sharing = self.hook.update_sharing(
            number, enabled=self.enabled, settings=self.settings, password_required=required
        )
        if self.password:
            self.hook.create_share_password(number, raw_password=self.password)
        return self.answer(sharing)


class RefreshPostHogSharingOperator(_SharingOperator):
    """Give a shared dashboard another address; the old one opens for five more minutes.

    :param dashboard_id: number of the dashboard (templated).
    :param return_url: as in ``SharePostHogDashboardOperator``.
    """

    def __init__(self, *, return_url: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.return_url = return_url

    def execute(self, context: Context) -> str | None:
        """Refresh; returns the address where asked for."""
        return self.answer(self.hook.refresh_sharing(self.number()))


class AddPostHogCollaboratorsOperator(OneDashboardOperator):
    """Let members edit a restricted dashboard; returns how many of them could not before.

    :param dashboard_id: number of the dashboard, which has the restriction level 37 (templated).
    :param user_uuids: of the members (templated).
    """

    template_fields: Sequence[str] = (*OneDashboardOperator.template_fields, "user_uuids")

    def __init__(self, *, user_uuids: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_uuids = user_uuids

    def execute(self, context: Context) -> int:
        """Add those who are none yet."""
        from airflow_provider_databrain.client.errors import AlreadyExistsError

        number = self.number()
        added = 0
        for uuid in [self.user_uuids] if isinstance(self.user_uuids, str) else self.user_uuids:
            try:
                self.hook.add_collaborator(number, uuid)
                added += 1
            except AlreadyExistsError as already:
                added += already.after_ambiguous
        return added


class PostHogTenants:
    """PostHog's side of a task over a tenant table.

    :param conn_id: the Airflow connection.
    :param project_id: instead of the connection's.
    :param timeouts: seconds, instead of the connection's; as the hook takes them.
    :param options: further options of ``PostHogTarget``.
    """

    def __init__(
        self, conn_id: str, project_id: str | int | None, timeouts: Mapping[str, float | None], **options: Any
    ) -> None:
        from airflow_provider_databrain.posthog.hook import PostHogHook

        self.hook = PostHogHook(conn_id, project_id, **timeouts)
        self._options = options

    def target(self, *, repeated: bool) -> PostHogTarget:
        """The engine's target, the same for a first and a repeated try."""
        from airflow_provider_databrain.posthog.target import PostHogTarget

        project = self.hook.project_id
        scope = self.hook.conn_id if project.startswith("@") else project
        return PostHogTarget(scope=scope, base_url=self.hook.server.base_url, **self._options)


class ProvisionPostHogDashboardsOperator(ProvisionSharedOperator):
    """Make every tenant of one batch have its PostHog dashboard; further parameters: see ``ProvisionSharedOperator``.

    The spec's fields are those of ``provisioning.targets.posthog.PostHogSpec``. An update sets those of them that are
    not about the creation (``use_template``, ``use_dashboard``, ``duplicate_tiles``, ``create_in_folder``).

    :param posthog_conn_id: the Airflow connection (templated).
    :param project_id: instead of the connection's (templated).
    """

    template_fields: Sequence[str] = (*PostHogOperator.template_fields, *ProvisionSharedOperator.template_fields)
    ui_color = PostHogOperator.ui_color

    def __init__(
        self, *, posthog_conn_id: str = "posthog_default", project_id: str | int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.posthog_conn_id = posthog_conn_id
        self.project_id = project_id

    @cached_property
    def vendor(self) -> PostHogTenants:
        """PostHog's side of this task."""
        return PostHogTenants(self.posthog_conn_id, self.project_id, self.timeouts)


class RemovePostHogDashboardsOperator(RemoveTenantsOperator):
    """Delete the PostHog dashboards of tenants that are no more; further parameters: see ``RemoveTenantsOperator``.

    :param posthog_conn_id: the Airflow connection (templated).
    :param project_id: instead of the connection's (templated).
    :param delete_insights: delete those of their insights too that are on no other dashboard.
    """

    template_fields: Sequence[str] = (*PostHogOperator.template_fields, *RemoveTenantsOperator.template_fields)

    def __init__(
        self,
        *,
        posthog_conn_id: str = "posthog_default",
        project_id: str | int | None = None,
        delete_insights: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.posthog_conn_id = posthog_conn_id
        self.project_id = project_id
        self.delete_insights = delete_insights

    @cached_property
    def vendor(self) -> PostHogTenants:
        """PostHog's side of this task."""
        return PostHogTenants(
            self.posthog_conn_id, self.project_id, self.timeouts, delete_insights=self.delete_insights
        )

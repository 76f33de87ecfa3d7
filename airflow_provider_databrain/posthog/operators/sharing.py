"""Operators that share a dashboard.

The public URL and the access token in it are secrets. The token is masked in logs. The URL is returned only if
``return_url`` is set.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_databrain.airflow_compat import BaseOperatorLink, Context, mask_secret
from airflow_provider_databrain.posthog.links import PostHogDashboardLink, PostHogSharedPageLink
from airflow_provider_databrain.posthog.operators.base import OneDashboardOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.posthog.api.models import Sharing


class _SharingOperator(OneDashboardOperator):
    operator_extra_links: Collection[BaseOperatorLink] = (PostHogDashboardLink(), PostHogSharedPageLink())
    return_url: bool
    shared_url: str | None = None
    """URL of the shared page, for the link in the UI; None unless ``return_url`` is set."""

    def answer(self, sharing: Sharing) -> str | None:
        """The public URL if ``return_url`` is set, otherwise None."""
        from airflow_provider_databrain.posthog.api.sharing import public_url

        if sharing.access_token:
            mask_secret(sharing.access_token)
        if self.return_url:
            self.shared_url = public_url(self.hook.server.base_url, sharing)
        return self.shared_url


class SharePostHogDashboardOperator(_SharingOperator):
    """Share a dashboard with anyone who has its public URL, or stop sharing it; returns the URL only on request.

    If the page must ask for a password, it is opened only after PostHog has shown that it does. If PostHog ignores or
    refuses ``password_required``, sharing is switched off and the task fails. After any other failure, the page is not
    open without a password, or the error says that it may be. See ``posthog.api.sharing.share``.

    :param dashboard_id: number of the dashboard (templated).
    :param enabled: False stops the sharing. If the URL was replaced less than five minutes before, the old URL works
        until the five minutes are over.
    :param settings: how the public page looks, for example ``{"whitelabel": True}`` (templated).
    :param password_required: ask visitors for a password; needs an organization with advanced permissions.
    :param password: a password to add, at least 8 characters (templated; the UI does not show the rendered value). It
        sets ``password_required``. Each run adds one.
    :param return_url: return the public URL, and show it as a link. The URL is a secret, and XCom will contain it.
    """

    template_fields: Sequence[str] = (*OneDashboardOperator.template_fields, "settings", "password")
    # Without its password, the page would be open.
    must_not_vanish: ClassVar[Collection[str]] = ("password",)
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
        """Share the dashboard; returns the public URL if ``return_url`` is set."""
        number = self.number()
        if self.password:
            mask_secret(self.password)
        sharing = self.hook.update_sharing(
            number,
            enabled=self.enabled,
            settings=self.settings,
            password_required=self.password_required,
            password=self.password,
        )
        return self.answer(sharing)


class RefreshPostHogSharingOperator(_SharingOperator):
    """Replace the public URL of a shared dashboard.

    The old URL works for five more minutes, even if sharing is stopped in that time, and without a password that is
    required only afterwards. To close a page at once, stop the sharing and do not replace the URL.

    :param dashboard_id: number of the dashboard (templated).
    :param return_url: as in ``SharePostHogDashboardOperator``.
    """

    def __init__(self, *, return_url: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.return_url = return_url

    def execute(self, context: Context) -> str | None:
        """Replace the URL; returns the new one if ``return_url`` is set."""
        return self.answer(self.hook.refresh_sharing(self.number()))

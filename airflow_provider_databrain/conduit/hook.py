"""Conduit's hook.

The connection holds the organization's token. Each workspace has its own token, which Conduit sends in its answers.
What always holds: the hook keeps a workspace's token in memory, and masks it in logs before a call uses it. It is also
masked before a caller gets it, unless it is one of a long list (see ``MASKED_AT_ONCE``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from airflow_provider_databrain.airflow_compat import Connection, amask_secret, mask_secret
from airflow_provider_databrain.base.hook import ApiHook, ConnectionExtras, both
from airflow_provider_databrain.client.answer import without_quotes
from airflow_provider_databrain.client.call import Call, Token
from airflow_provider_databrain.client.errors import ApiError, NotFoundError
from airflow_provider_databrain.client.models import check_id
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.conduit import api

P = ParamSpec("P")
AnswerT = TypeVar("AnswerT", api.Workspace, list[api.Workspace])
MASKED_AT_ONCE = 100
"""How many new tokens of a list are masked at once. Airflow needs a tenth of a second for these, and a minute for ten
times as many. The tokens of a longer list are masked one by one, when they are used."""


def both_masking(
    function: Callable[P, Call[AnswerT]],
) -> tuple[
    Callable[Concatenate[ConduitHook, P], AnswerT],
    Callable[Concatenate[ConduitHook, P], Awaitable[AnswerT]],
]:
    """The sync and the async hook method that run an API function's call, then remember and mask the tokens in it."""

    @wraps(function)
    def method(self: ConduitHook, /, *args: P.args, **kwargs: P.kwargs) -> AnswerT:
        answer = self.run(function(*args, **kwargs))
        self._mask(self._remember(answer))
        return answer

    @wraps(function)
    async def amethod(self: ConduitHook, /, *args: P.args, **kwargs: P.kwargs) -> AnswerT:
        answer = await self.arun(function(*args, **kwargs))
        await self._amask(self._remember(answer))
        return answer

    return method, amethod


class ConduitHook(ApiHook[ConnectionExtras]):
    """Client of Conduit's API, sync and async. The connection's password is the organization's token.

    If a call needs a workspace's own token, name the workspace: the hook looks the token up in the organization's list.

    :param conduit_conn_id: an Airflow connection of type ``conduit``.
    :param connect_timeout: seconds; replaces the connection's value.
    :param read_timeout: seconds; replaces the connection's value.
    :param max_retry_seconds: seconds; replaces the connection's value.
    :param max_call_seconds: seconds; replaces the connection's value.
    """

    conn_name_attr = "conduit_conn_id"
    default_conn_name = "conduit_default"
    conn_type = "conduit"
    hook_name = "Conduit"
    extras_model = ConnectionExtras
    default_url = api.CLOUD_URL
    api_path = "(?<=/v2)/(?:workspaces|dashboards)"

    def __init__(self, conduit_conn_id: str = default_conn_name, **timeouts: float | None) -> None:
        super().__init__(conduit_conn_id, **timeouts)
        self.conduit_conn_id = conduit_conn_id
        self._workspace_tokens: dict[int, str] = {}
        self._masked: set[str] = set()

    def tokens(self, connection: Connection, extras: ConnectionExtras) -> Mapping[Token, str | None]:
        """The organization's token."""
        return {api.ORGANIZATION_TOKEN: connection.password}

    def server_url(self, connection: Connection, extras: ConnectionExtras) -> str:
        """As for every vendor; if the host is that of Conduit's cloud without a path, with the path of its API."""
        url = super().server_url(connection, extras)
        return api.CLOUD_URL if url == api.CLOUD_URL.removesuffix("/v2") else url

    list_workspaces, alist_workspaces = both_masking(api.list_workspaces)
    create_workspace, acreate_workspace = both_masking(api.create_workspace)
    find_or_create_workspace, afind_or_create_workspace = both_masking(api.find_or_create_workspace)

    def disable_workspace(self, workspace_id: int) -> None:
        """Disable a workspace and forget its token; see ``conduit.api.disable_workspace``."""
        self.run(api.disable_workspace(workspace_id))
        self._workspace_tokens.pop(workspace_id, None)

    async def adisable_workspace(self, workspace_id: int) -> None:
        """The async form of ``disable_workspace``."""
        await self.arun(api.disable_workspace(workspace_id))
        self._workspace_tokens.pop(workspace_id, None)

    def workspace_token(self, workspace_id: int) -> str:
        """A workspace's own token, from memory or from the organization's list.

        :raises NotFoundError: the list does not have this workspace.
        :raises ValueError: ``workspace_id`` is not a whole number above 0.
        """
        if check_id(workspace_id, "workspace_id") not in self._workspace_tokens:
            self.list_workspaces()
        token = self._remembered(workspace_id)
        self._mask([token])
        return token

    async def aworkspace_token(self, workspace_id: int) -> str:
        """The async form of ``workspace_token``."""
        if check_id(workspace_id, "workspace_id") not in self._workspace_tokens:
            await self.alist_workspaces()
        token = self._remembered(workspace_id)
        await self._amask([token])
        return token

    clone_dashboard, aclone_dashboard = both(api.clone_dashboard)

    def list_dashboards(self, workspace_id: int | None = None) -> list[api.Dashboard]:
        """The dashboards of a workspace, or the organization's own dashboards.

        :param workspace_id: the workspace; None means the organization.
        """
        token = None if workspace_id is None else self.workspace_token(workspace_id)
        return self.run(api.list_dashboards(token))

    async def alist_dashboards(self, workspace_id: int | None = None) -> list[api.Dashboard]:
        """The async form of ``list_dashboards``."""
        token = None if workspace_id is None else await self.aworkspace_token(workspace_id)
        return await self.arun(api.list_dashboards(token))

    def share_url(self, dashboard_id: int, workspace_id: int | None = None) -> str:
        """A URL that shows a dashboard or embeds it.

        :param workspace_id: the workspace that the dashboard is in; None means the organization.
        """
        token = None if workspace_id is None else self.workspace_token(workspace_id)
        return self.run(api.share_url(dashboard_id, token))

    async def ashare_url(self, dashboard_id: int, workspace_id: int | None = None) -> str:
        """The async form of ``share_url``."""
        token = None if workspace_id is None else await self.aworkspace_token(workspace_id)
        return await self.arun(api.share_url(dashboard_id, token))

    def _remember(self, answer: api.Workspace | list[api.Workspace]) -> list[str]:
        """Keep the tokens in an answer; returns them."""
        workspaces = answer if isinstance(answer, list) else [answer]
        tokens = {workspace.id: workspace.token for workspace in workspaces}
        self._workspace_tokens |= tokens
        return list(tokens.values())

    def _remembered(self, workspace_id: int) -> str:
        if workspace_id not in self._workspace_tokens:
            raise NotFoundError(
                f"the organization has no workspace {workspace_id!r}, or it is disabled",
                endpoint=api.LIST_WORKSPACES.name,
            )
        return self._workspace_tokens[workspace_id]

    def _mask(self, tokens: Iterable[str]) -> None:
        for token in self._to_mask(tokens):
            mask_secret(token)

    async def _amask(self, tokens: Iterable[str]) -> None:
        for token in self._to_mask(tokens):
            await amask_secret(token)

    def _to_mask(self, tokens: Iterable[str]) -> list[str]:
        """The tokens to mask now; none if there are too many, see ``MASKED_AT_ONCE``."""
        unmasked = [token for token in tokens if token not in self._masked]
        if len(unmasked) > MASKED_AT_ONCE:
            return []
        self._masked.update(unmasked)
        return unmasked

    def test_connection(self) -> tuple[bool, str]:
        """Try the token with one small read. A workspace's token passes too: it lists the workspace's dashboards."""
        # A new hook, because this hook may retry and may have open connections.
        hook = ConduitHook(self.conn_id, **{**self._overrides, "max_retry_seconds": 0.0})
        try:
            hook.list_dashboards()
        except (ApiError, ConfigurationError) as error:
            if isinstance(error, NotFoundError):
                error.hint = f"Host must include the API's version, as in {api.CLOUD_URL}."
            said = without_quotes(error) if isinstance(error, ApiError) else str(error)
            return False, f"{api.ORGANIZATION_TOKEN.name}: {said}"
        finally:
            hook.close()
        return True, f"{api.ORGANIZATION_TOKEN.name}: works"

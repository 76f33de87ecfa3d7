"""Databrain: a tenant's dashboard is created under an id of ours, or adopted where it is proved to be the tenant's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import ValidationError

from airflow_provider_databrain.api import databrain as api
from airflow_provider_databrain.api.core import explain
from airflow_provider_databrain.api.databrain import CreateDashboardEmbed, Embed
from airflow_provider_databrain.api.errors import AlreadyExistsError
from airflow_provider_databrain.provisioning.report import Action, Outcome
from airflow_provider_databrain.provisioning.spec import SpecError
from airflow_provider_databrain.provisioning.targets.base import Desired
from airflow_provider_databrain.transport.aio import AsyncTransport

STAMP = "airflowProviderClientId"
"""The key in a dashboard's ``metadata`` under which we note the client it belongs to."""
TENANT_STAMP = "airflowProviderTenant"
"""The same for the tenant's key in the table, noted where it is not the client id."""

IfExists = Literal["adopt", "fail"]


def stamped(embed: CreateDashboardEmbed, tenant: str) -> CreateDashboardEmbed:
    """The request with its owner noted in its metadata."""
    note = {STAMP: embed.client_id} | ({} if tenant == embed.client_id else {TENANT_STAMP: tenant})
    return embed.model_copy(update={"metadata": {**(embed.metadata or {}), **note}})


def owner_of(embed: Embed) -> str | None:
    """The client that a listed dashboard provably belongs to, or None.

    Proof is our stamp in the metadata or, failing that, the title ``{dashboardId}_{clientId}`` that the
    API gives by itself.
    """
    dashboard = embed.external_dashboard
    if dashboard is None:
        return None
    if noted := _noted(embed, STAMP):
        return noted
    prefix = f"{embed.dashboard_id}_"
    name = dashboard.name or ""
    return name.removeprefix(prefix) if name.startswith(prefix) and name != prefix else None


def _noted(embed: Embed, key: str) -> str | None:
    """What our stamp says."""
    metadata = embed.external_dashboard.metadata if embed.external_dashboard else None
    value = metadata.get(key) if isinstance(metadata, Mapping) else None
    return value if isinstance(value, str) else None


def adopt(listed: Iterable[Embed], wanted: CreateDashboardEmbed, tenant: str | None = None) -> str:
    """The embed id of an existing dashboard that is proved to belong to the wanted client.

    :param listed: embeds as the API lists them. Where a dashboard has several, the one that carries its
        id was made together with it.
    :param tenant: the tenant's key; a dashboard that is noted as another tenant's of the same client is not adopted.
    :raises AlreadyExistsError: it belongs to someone else, to nobody we can tell, or is not listed.
    """
    found = [embed for embed in listed if embed.dashboard_id == wanted.dashboard_id]
    own = [embed for embed in found if embed.embed_id == wanted.dashboard_id] or found
    if not own:
        raise _taken(
            wanted,
            "the API says that this id is taken, but lists no embed with it in this data app. "
            "Delete it in Databrain or choose another id.",
        )
    if len(own) > 1:
        ids = ", ".join(repr(embed.embed_id) for embed in own)
        raise _taken(wanted, f"the dashboard has several embeds ({ids}), and which one to adopt is not clear.")
    owner = owner_of(own[0])
    if owner is None:
        raise _taken(
            wanted,
            f"a dashboard with this id exists, and nothing proves that it belongs to {wanted.client_id!r}: it has "
            f"neither our stamp in its metadata nor the title '{wanted.dashboard_id}_{wanted.client_id}'. "
            "Rename or delete it, or choose another id.",
        )
    if owner != wanted.client_id:
        raise _taken(
            wanted,
            f"the dashboard belongs to client {owner!r}, not to {wanted.client_id!r}. "
            "Choose another id for one of them.",
        )
    # Without a note of its own, a stamped dashboard's tenant is named as its client is.
    theirs = _noted(own[0], TENANT_STAMP) or _noted(own[0], STAMP)
    if tenant is not None and theirs is not None and theirs != tenant:
        raise _taken(
            wanted,
            f"the dashboard belongs to tenant {theirs!r} of the same client, not to {tenant!r}. "
            "Choose another id for one of them.",
        )
    return own[0].embed_id


def _taken(wanted: CreateDashboardEmbed, reason: str) -> AlreadyExistsError:
    return AlreadyExistsError(
        reason,
        endpoint=api.CREATE_DASHBOARD_EMBED.name,
        tenant=wanted.client_id,
        dashboard=wanted.dashboard_id,
    )


class DatabrainTarget:
    """Databrain's side of the engine; one for each batch.

    :param workspace_name: for specs that name no workspace.
    :param if_exists: ``adopt`` takes over a dashboard that is proved to be the tenant's; ``fail`` never does.
    :param stamp: note the owner in each new dashboard's metadata.
    :param repeated: an earlier try may have created some of them, so that ``fail`` accepts proof too.
    """

    def __init__(
        self,
        *,
        workspace_name: str | None = None,
        if_exists: IfExists = "adopt",
        stamp: bool = True,
        repeated: bool = False,
    ) -> None:
        if if_exists not in ("adopt", "fail"):
            raise ValueError(f"if_exists is {if_exists!r}; it is 'adopt' or 'fail'")
        self._workspace_name = workspace_name
        self._if_exists = if_exists
        self._stamp = stamp
        self._repeated = repeated
        self._listed: dict[str, list[Embed]] = {}
        self._ours: set[str] = set()

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[CreateDashboardEmbed]:
        """Check one tenant's request as strictly as the API would."""
        named = "workspace_name" in fields or "workspaceName" in fields
        workspace = {} if named or not self._workspace_name else {"workspace_name": self._workspace_name}
        try:
            wanted = CreateDashboardEmbed.model_validate({**workspace, **fields})
        except ValidationError as invalid:
            raise SpecError(f"tenant {tenant!r}: {'; '.join(explain(invalid))}") from None
        for key in (STAMP, TENANT_STAMP):
            if key in (wanted.metadata or {}):
                # It would pass for our proof of the owner.
                raise SpecError(f"tenant {tenant!r}: metadata: the key {key!r} is this provider's own; leave it out")
        if wanted.is_rename_dashboard and not self._stamp:
            raise SpecError(
                f"tenant {tenant!r}: with is_rename_dashboard and without the stamp, nothing would prove whose the "
                "dashboard is; leave one of them"
            )
        return Desired(tenant, wanted.dashboard_id, stamped(wanted, tenant) if self._stamp else wanted)

    async def survey(self, api_: AsyncTransport) -> None:
        """List the data app's embeds."""
        self._listed = {}
        for embed in await api_.run(api.list_embeds()):
            self._listed.setdefault(embed.dashboard_id, []).append(embed)

    async def provision(self, api_: AsyncTransport, desired: Desired[CreateDashboardEmbed]) -> Outcome | None:
        """Create the dashboard, unless the survey has shown it."""
        if desired.dashboard_id in self._listed:
            return self.settle(desired)
        try:
            created = await api_.run(api.create_dashboard_embed(desired.wanted))
        except AlreadyExistsError as taken:
            if taken.after_ambiguous:
                self._ours.add(desired.dashboard_id)
            return None
        return Outcome(desired.tenant, desired.dashboard_id, Action.CREATED, created.id)

    def settle(self, desired: Desired[CreateDashboardEmbed]) -> Outcome:
        """Adopt what the survey shows, on proof.

        A create of ours that got no good answer, and whose id was taken at the next try, counts as
        created once its owner is proved.
        """
        ours = desired.dashboard_id in self._ours
        try:
            listed = self._listed.get(desired.dashboard_id, [])
            embed_id = self.decide(desired.wanted, listed, ours=ours, tenant=desired.tenant)
        except AlreadyExistsError as error:
            return Outcome(desired.tenant, desired.dashboard_id, Action.FAILED, error=error)
        action = Action.CREATED if ours else Action.ADOPTED
        return Outcome(desired.tenant, desired.dashboard_id, action, embed_id)

    def decide(
        self, wanted: CreateDashboardEmbed, listed: Iterable[Embed], *, ours: bool, tenant: str | None = None
    ) -> str:
        """The embed id of a dashboard whose id is taken.

        :param listed: what the API lists.
        :param ours: whether an earlier try of the same create may have made it.
        :param tenant: the tenant's key in a table, where it comes from one.
        :raises AlreadyExistsError: it must not, or cannot, be adopted.
        """
        if self._if_exists == "fail" and not (ours or self._repeated):
            raise _taken(wanted, "the dashboard exists already and if_exists is 'fail'")
        return adopt(listed, wanted, tenant)

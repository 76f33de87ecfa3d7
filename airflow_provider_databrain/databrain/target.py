"""Databrain: a tenant's dashboard is created under an id of ours, or adopted where it is proved to be the tenant's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from airflow_provider_databrain.client.errors import AlreadyExistsError, NotFoundError
from airflow_provider_databrain.client.models import explain, wire
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.databrain.api import embeds as api
from airflow_provider_databrain.databrain.api.access import AccessSettings
from airflow_provider_databrain.databrain.api.embeds import CreateDashboardEmbed, Embed
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.target import Desired, Existing

STAMP = "airflowProviderClientId"
"""The key in a dashboard's ``metadata`` under which we note the client it belongs to."""
TENANT_STAMP = "airflowProviderTenant"
"""The same for the tenant's key in the table, noted where it is not the client id."""

DIFFERENT = 1000
"""Access settings that are remembered as checked."""
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

    :param scope: the data app, as the ledger names it.
    :param workspace_name: for specs that name no workspace.
    :param if_exists: ``adopt`` takes over a dashboard that is proved to be the tenant's; ``fail`` never does.
    :param stamp: note the owner in each new dashboard's metadata.
    :param repeated: an earlier try may have created some of them, so that ``fail`` accepts proof too.
    :param look_first: list the embeds before the first create; without it, only where an id is taken.
    :param delete_dashboards: delete the dashboard too, and not only its embed.
    """

    system = "databrain"
    creates_once = False
    can_duplicate = False
    has_shared_places = False

    def __init__(
        self,
        *,
        scope: str = "",
        workspace_name: str | None = None,
        if_exists: IfExists = "adopt",
        stamp: bool = True,
        repeated: bool = False,
        look_first: bool = True,
        delete_dashboards: bool = False,
    ) -> None:
        if if_exists not in ("adopt", "fail"):
            raise ValueError(f"if_exists is {if_exists!r}; it is 'adopt' or 'fail'")
        self.scope = scope
        self.look_first = look_first
        self._workspace_name = workspace_name
        self._if_exists = if_exists
        self._stamp = stamp
        self._repeated = repeated
        self._delete_dashboards = delete_dashboards
        self._listed: dict[str, list[Embed]] = {}
        self._access: dict[str, tuple[AccessSettings, str]] = {}

    @property
    def options(self) -> str:
        """The default workspace, and the version of what the hashes are made of."""
        return f"1 {self._workspace_name}"

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[CreateDashboardEmbed]:
        """Check one tenant's request as strictly as the API would."""
        named = "workspace_name" in fields or "workspaceName" in fields
        workspace = {} if named or not self._workspace_name else {"workspace_name": self._workspace_name}
        name = "access_settings" if "access_settings" in fields else "accessSettings"
        key = repr(fields.get(name))
        known = self._access.get(key)
        # Tenants mostly have the same settings: they are checked, and hashed, once.
        checked = {name: known[0]} if known else {}
        try:
            wanted = CreateDashboardEmbed.model_validate({**workspace, **fields, **checked})
        except ValidationError as invalid:
            raise SpecError(f"tenant {tenant!r}: {'; '.join(explain(invalid))}") from None
        for own in (STAMP, TENANT_STAMP):
            if own in (wanted.metadata or {}):
                # It would pass for our proof of the owner.
                raise SpecError(f"tenant {tenant!r}: metadata: the key {own!r} is this provider's own; leave it out")
        if wanted.is_rename_dashboard and not self._stamp:
            raise SpecError(
                f"tenant {tenant!r}: with is_rename_dashboard and without the stamp, nothing would prove whose the "
                "dashboard is; leave one of them"
            )
        if known is None:
            known = wanted.access_settings, _hash_access(wanted)
            if len(self._access) < DIFFERENT:
                self._access[key] = known
        marked = stamped(wanted, tenant) if self._stamp else wanted
        return Desired(tenant, wanted.dashboard_id, _Parts.of(wanted, known[1]).text(), marked)

    def differs(self, desired: Desired[CreateDashboardEmbed], existing: Existing) -> bool:
        """Whether access settings or name differ; the owner must not.

        :raises SpecError: the ledger knows another dashboard id, client or workspace.
        """
        if existing.dashboard_id != desired.dashboard_id:
            raise SpecError(
                f"tenant {desired.tenant!r}: the spec now says dashboard id {desired.dashboard_id!r}, the ledger has "
                f"{existing.dashboard_id!r}. A dashboard's id cannot be changed: undo the change, or remove the "
                "tenant's dashboard first. A second dashboard for the same tenants needs a ledger_table of its own."
            )
        wanted, known = _Parts.parse(desired.spec_hash), _Parts.parse(existing.spec_hash)
        if wanted.owner != known.owner:
            raise SpecError(
                f"tenant {desired.tenant!r}: client_id or workspace_name is not what dashboard "
                f"{existing.dashboard_id!r} was created with, and neither can be changed: undo the change, or "
                "remove the tenant's dashboard first."
            )
        return wanted != known

    async def survey(self, transport: AsyncTransport) -> None:
        """List the data app's embeds."""
        self._listed = {}
        for embed in await transport.run(api.list_embeds()):
            self._listed.setdefault(embed.dashboard_id, []).append(embed)

    async def find(
        self, transport: AsyncTransport, desired: Desired[CreateDashboardEmbed], *, ours: bool
    ) -> Existing | None:
        """What the list of embeds proves to be the tenant's."""
        if desired.dashboard_id not in self._listed:
            return None
        wanted = desired.wanted
        listed = self._listed[wanted.dashboard_id]
        embed_id = self.decide(wanted, listed, ours=ours, tenant=desired.tenant)
        # The list says nothing of access settings; the name it does say.
        name = next(embed.name for embed in listed if embed.embed_id == embed_id)
        parts = _Parts.of(wanted, "")
        known = _Parts(parts.owner, "", parts.name if name == _name(wanted) else "")
        return Existing(wanted.dashboard_id, embed_id, known.text())

    def duplicates(self, desired: Desired[CreateDashboardEmbed]) -> Sequence[Existing]:
        """None: the id is ours, and taken once."""
        return ()

    async def create(self, transport: AsyncTransport, desired: Desired[CreateDashboardEmbed]) -> Existing:
        """Create dashboard and embed."""
        try:
            created = await transport.run(api.create_dashboard_embed(desired.wanted))
        except AlreadyExistsError as taken:
            # What a user reads where the list of embeds settles nothing.
            taken.hint = (
                "No embed with this id is listed in this data app: delete it in Databrain, or choose another id."
            )
            raise
        return Existing(desired.wanted.dashboard_id, created.id, desired.spec_hash)

    async def update(
        self, transport: AsyncTransport, desired: Desired[CreateDashboardEmbed], existing: Existing
    ) -> Existing:
        """Set the access settings, the name, or both."""
        wanted = desired.wanted
        parts, known = _Parts.parse(desired.spec_hash), _Parts.parse(existing.spec_hash)
        if parts.access != known.access:
            await transport.run(api.update_embed(existing.embed_id, wanted.access_settings))
        if parts.name != known.name:
            rename = api.rename_embed(
                existing.embed_id, _name(wanted), is_rename_dashboard=wanted.is_rename_dashboard and bool(wanted.name)
            )
            await transport.run(rename)
        return Existing(existing.dashboard_id, existing.embed_id, desired.spec_hash)

    async def delete(self, transport: AsyncTransport, tenant: str, existing: Existing) -> None:
        """Delete the embed, and the dashboard where asked for, unless the list shows that it is somebody else's."""
        listed = [embed for embed in self._listed.get(existing.dashboard_id, []) if embed.embed_id == existing.embed_id]
        if not listed:
            return
        theirs = _noted(listed[0], TENANT_STAMP) or _noted(listed[0], STAMP)
        if theirs is not None and theirs != tenant:
            raise AlreadyExistsError(
                f"the dashboard now belongs to {theirs!r} and not to {tenant!r}; it was not deleted",
                endpoint=api.DELETE_EMBED.name,
                tenant=tenant,
                dashboard=existing.dashboard_id,
            )
        with suppress(NotFoundError):
            await transport.run(api.delete_embed(existing.embed_id, is_delete_dashboard=self._delete_dashboards))

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


class _Parts(NamedTuple):
    """What a spec hash is made of: who the owner is, and what an update can change."""

    owner: str
    access: str
    name: str

    @classmethod
    def of(cls, wanted: CreateDashboardEmbed, access: str) -> _Parts:
        return cls(
            _hash(repr((wanted.client_id, wanted.workspace_name))),
            access,
            _hash(repr((_name(wanted), bool(wanted.is_rename_dashboard and wanted.name)))),
        )

    @classmethod
    def parse(cls, text: str) -> _Parts:
        owner, access, name = text.split(".")
        return cls(owner, access, name)

    def text(self) -> str:
        return ".".join(self)


def _name(wanted: CreateDashboardEmbed) -> str:
    """The embed's name; the API gives the dashboard id where there is none."""
    return wanted.name or wanted.dashboard_id


def _hash_access(wanted: CreateDashboardEmbed) -> str:
    return _hash(json.dumps(wire(wanted.access_settings), sort_keys=True))


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

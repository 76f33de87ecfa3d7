"""Databrain's target: how the engine creates, adopts, changes and deletes a tenant's dashboard in one data app.

What always holds:

- The spec chooses the dashboard's id, and Databrain takes an id once. So a second create makes no second
  dashboard, and after an ambiguous failure the list shows whether the first one succeeded.
- An existing dashboard is adopted only with proof that it belongs to the tenant (see ``databrain.ownership``). A spec
  that would leave no proof, or would forge one, is refused before anything is sent.
- A dashboard's id, client and workspace cannot be changed. An update changes the access settings and the name.
- A dashboard that is stamped for another tenant is never deleted.
- The list is checked for missing rows (``paging.complete``). An embed that it does not show counts as gone only if the
  API does not answer for it either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
)
from airflow_provider_databrain.client.models import explain, wire
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.databrain.api import embeds as api
from airflow_provider_databrain.databrain.api import metrics
from airflow_provider_databrain.databrain.api.access import AccessSettings
from airflow_provider_databrain.databrain.api.embeds import CreateDashboardEmbed, Embed
from airflow_provider_databrain.databrain.ownership import (
    IF_NOT_LISTED,
    STAMP,
    TENANT_STAMP,
    adopt,
    stamped,
    taken,
    tenant_of,
)
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.target import Desired, Existing

_REMEMBERED = 1000
"""How many different access settings one target remembers as checked."""
IfExists = Literal["adopt", "fail"]


class DatabrainTarget:
    """Databrain's side of the engine (see ``tenants.engine.target.Target``). One object serves one batch.

    :param scope: the data app, as the ledger names it.
    :param workspace_name: the workspace for specs that name none.
    :param if_exists: ``adopt`` takes over a dashboard that is proved to belong to the tenant. ``fail`` does not.
    :param stamp: write our stamp into each new dashboard's metadata.
    :param repeated: an earlier try may have created some of the dashboards. Then ``fail`` accepts proof too.
    :param look_first: list the embeds before the first create. Otherwise they are listed only if an id is taken.
    :param delete_dashboards: delete the dashboard too, not only its embed.
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
            raise ValueError(f"if_exists is {if_exists!r}; it must be 'adopt' or 'fail'")
        self.scope = scope
        self.look_first = look_first
        self._workspace_name = workspace_name
        self._if_exists = if_exists
        self._stamp = stamp
        self._repeated = repeated
        self._delete_dashboards = delete_dashboards
        self._listed: dict[str, list[Embed]] = {}
        self._taken: set[str] = set()
        self._access: dict[str, tuple[AccessSettings, str]] = {}

    @property
    def options(self) -> str:
        """The version of the spec hashes, and the default workspace."""
        return f"1 {self._workspace_name}"

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[CreateDashboardEmbed]:
        """Check one tenant's request as strictly as the API would.

        :raises SpecError: the request is invalid, or nothing would prove whose the dashboard is.
        """
        named = "workspace_name" in fields or "workspaceName" in fields
        workspace = {} if named or not self._workspace_name else {"workspace_name": self._workspace_name}
        name = "access_settings" if "access_settings" in fields else "accessSettings"
        key = repr(fields.get(name))
        known = self._access.get(key)
        # Most tenants have the same settings. They are checked and hashed once.
        checked = {name: known[0]} if known else {}
        try:
            wanted = CreateDashboardEmbed.model_validate({**workspace, **fields, **checked})
        except ValidationError as invalid:
            raise SpecError(f"tenant {tenant!r}: {'; '.join(explain(invalid))}") from None
        for own in (STAMP, TENANT_STAMP):
            if own in (wanted.metadata or {}):
                # It would count as proof of the owner.
                raise SpecError(f"tenant {tenant!r}: metadata: the key {own!r} is this provider's own; leave it out")
        if wanted.is_rename_dashboard and not self._stamp:
            raise SpecError(
                f"tenant {tenant!r}: is_rename_dashboard needs the stamp, because without it nothing would prove whose "
                "the dashboard is. Set stamp, or leave out is_rename_dashboard"
            )
        if known is None:
            known = wanted.access_settings, _hash_access(wanted)
            if len(self._access) < _REMEMBERED:
                self._access[key] = known
        marked = stamped(wanted, tenant) if self._stamp else wanted
        return Desired(tenant, wanted.dashboard_id, _Parts.of(wanted, known[1]).text(), marked)

    def differs(self, desired: Desired[CreateDashboardEmbed], existing: Existing) -> bool:
        """Whether access settings or name differ.

        :raises SpecError: the dashboard id, client or workspace differs from the ledger's. None of them can be changed.
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
        for embed in await transport.run(api.list_all_embeds()):
            self._listed.setdefault(embed.dashboard_id, []).append(embed)

    @property
    def lists_nothing(self) -> bool:
        """Whether the last survey shows nothing at all."""
        return not self._listed

    def lists(self, existing: Existing) -> bool:
        """Whether the last survey shows this embed."""
        listed = self._listed.get(existing.dashboard_id, [])
        return any(embed.embed_id == existing.embed_id for embed in listed)

    async def is_gone(self, transport: AsyncTransport, existing: Existing) -> bool:
        """Always False: Databrain has no call that asks for one embed."""
        return False

    async def find(
        self, transport: AsyncTransport, desired: Desired[CreateDashboardEmbed], *, ours: bool
    ) -> Existing | None:
        """The dashboard that the last survey proves to belong to the tenant; None if the id is free.

        :raises AlreadyExistsError: see ``decide``; or the list has a taken id only in another spelling.
        """
        wanted = desired.wanted
        if wanted.dashboard_id not in self._listed:
            if wanted.dashboard_id in self._taken:
                self._explain_taken(wanted)
            return None
        listed = self._listed[wanted.dashboard_id]
        embed_id = self.decide(wanted, listed, ours=ours, tenant=desired.tenant)
        # The list has the embed's name, but not its access settings.
        name = next(embed.name for embed in listed if embed.embed_id == embed_id)
        parts = _Parts.of(wanted, "")
        known = _Parts(parts.owner, "", parts.name if name == _name(wanted) else "")
        return Existing(wanted.dashboard_id, embed_id, known.text())

    def find_known(self, desired: Desired[CreateDashboardEmbed], existing: Existing) -> Existing | None:
        """Always None: the id is all that ``find`` looks for."""
        return None

    def duplicates(self, desired: Desired[CreateDashboardEmbed]) -> Sequence[Existing]:
        """None: the spec chooses the id, and Databrain takes it once."""
        return ()

    def leftovers(self, existing: Existing) -> Sequence[Existing]:
        """Always empty: Databrain takes an id once."""
        return ()

    async def create(self, transport: AsyncTransport, desired: Desired[CreateDashboardEmbed]) -> Existing:
        """Create the dashboard and its embed."""
        try:
            created = await transport.run(api.create_dashboard_embed(desired.wanted))
        except AlreadyExistsError as error:
            if error.from_api:
                self._taken.add(desired.wanted.dashboard_id)
                # The user reads this if the list of embeds does not show the dashboard.
                error.hint = f"No embed with this id is listed in this data app. {IF_NOT_LISTED}"
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
        """Delete the embed, and if asked the dashboard. Nothing is done if the embed is gone.

        :raises MalformedAnswerError: the list does not show the embed, but it is there. It was not deleted.
        :raises AlreadyExistsError: the dashboard is stamped for another tenant. It was not deleted.
        :raises NotFoundError: a 404 that may not be the API's own; it does not prove that the embed is gone.
        """
        listed = [embed for embed in self._listed.get(existing.dashboard_id, []) if embed.embed_id == existing.embed_id]
        if not listed:
            await self._raise_if_there(transport, tenant, existing.embed_id)
            return
        stamped_for = tenant_of(listed[0])
        if stamped_for is not None and stamped_for != tenant:
            raise AlreadyExistsError(
                f"the dashboard now belongs to {stamped_for!r} and not to {tenant!r}; it was not deleted",
                endpoint=api.DELETE_EMBED.name,
                tenant=tenant,
                dashboard=existing.dashboard_id,
            )
        try:
            await transport.run(api.delete_embed(existing.embed_id, is_delete_dashboard=self._delete_dashboards))
        except NotFoundError as error:
            error.raise_unless_from_api()

    def _explain_taken(self, wanted: CreateDashboardEmbed) -> None:
        """Raise if the list shows why it does not have a taken id: another spelling, or a list without ids."""
        for other, embeds in self._listed.items():
            if api.same_but_for_case(other, wanted.dashboard_id):
                raise taken(
                    wanted,
                    f"the API says that this id is taken, and lists {other!r} instead, so it does not keep case or "
                    "blanks. If that is this tenant's dashboard, set dashboard_id to exactly that. Otherwise choose "
                    "another id.",
                )
            if other.startswith(f"{wanted.dashboard_id}__") and embeds[0].shown_id("dashboard") is None:
                raise taken(
                    wanted,
                    "the API says that this id is taken, and its list does not say which dashboard the embed "
                    f"{other!r} shows. It may be this one, but nothing proves it. Delete both in Databrain if nobody "
                    "needs them, or choose another id.",
                )

    async def _raise_if_there(self, transport: AsyncTransport, tenant: str, embed_id: str) -> None:
        """Ask for an embed that the list does not show.

        :raises MalformedAnswerError: the API has it.
        """
        try:
            # Of the calls that name an embed, it is the one whose code for an unknown embed is documented.
            await transport.run(metrics.fetch_embed_metrics(embed_id, tenant))
        except (NotFoundError, InvalidRequestError):
            # Nothing contradicts the list. An older server may not have this call.
            return
        raise MalformedAnswerError(
            f"the list of embeds does not show embed {embed_id!r}, but the API still answers for it; nothing was "
            "deleted. The list may be late: the next run looks again",
            transient=False,
            ambiguous=False,
        )

    def decide(
        self, wanted: CreateDashboardEmbed, listed: Iterable[Embed], *, ours: bool, tenant: str | None = None
    ) -> str:
        """The embed id of an existing dashboard, if it may be adopted.

        :param listed: embeds as the API lists them.
        :param ours: whether an earlier try of the same create may have created it.
        :param tenant: the tenant's key in a table; None without a table.
        :raises AlreadyExistsError: ``if_exists`` forbids it, or ``adopt`` refuses it.
        """
        if self._if_exists == "fail" and not (ours or self._repeated):
            raise taken(wanted, "the dashboard exists already and if_exists is 'fail'")
        return adopt(listed, wanted, tenant)


class _Parts(NamedTuple):
    """The parts of a spec hash: the owner, which cannot change, and what an update can change."""

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
    """The embed's name. Without one, the API uses the dashboard id."""
    return wanted.name or wanted.dashboard_id


def _hash_access(wanted: CreateDashboardEmbed) -> str:
    return _hash(json.dumps(wire(wanted.access_settings), sort_keys=True))


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

"""PostHog: a tenant's dashboard is found again by a mark, and shared as the table says.

PostHog chooses the ids, and a create makes one more each time it is sent. So the project's dashboards are listed before
the first create, and once more after a batch in which any was created: of two that two runs made at once, the older one
stays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic import ValidationError

from airflow_provider_databrain.client.errors import AlreadyExistsError, ApiError, InvalidRequestError, NotFoundError
from airflow_provider_databrain.client.models import Sent, explain, wire
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.posthog.api import dashboards, marks, sharing
from airflow_provider_databrain.posthog.api.models import Dashboard, DashboardChange, NewDashboard, SharingSettings
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.target import Desired, Existing

NEW = "new"
"""In a spec hash: nothing has been said about sharing yet."""
AT_CREATION = ("use_template", "use_dashboard", "duplicate_tiles", "create_in_folder")
CHANGEABLE = tuple(name for name in NewDashboard.model_fields if name not in (*AT_CREATION, "tiles"))


class ShareSpec(Sent):
    """How a tenant's dashboard is shared.

    :param enabled: False for a dashboard that only members of the project see.
    :param settings: how it looks, see ``api.posthog_models.SharingSettings``.
    :param password_required: needs an organization with advanced permissions.
    """

    enabled: bool = True
    settings: SharingSettings | None = None
    password_required: bool | None = None


class PostHogSpec(NewDashboard):
    """What a spec for PostHog says, see also ``NewDashboard``.

    :param purpose: what the dashboard is for. With the tenant's key it is what the dashboard is found again by: another
        tenant table of the same project, or a second dashboard for the same tenants, needs another one.
    """

    purpose: str = ""
    sharing: ShareSpec = ShareSpec()
    use_dashboard: Any = None  # a number, or its digits, as a column's value has


UNSHARED = ShareSpec(enabled=False)


class Wanted(NamedTuple):
    """One tenant's dashboard.

    :param new: as it is created.
    :param change: what of it is set again where it differs: what the spec says, and no more.
    :param mark: what it carries, to be found again.
    """

    new: NewDashboard
    change: DashboardChange
    sharing: ShareSpec
    mark: str


class PostHogTarget:
    """PostHog's side of the engine; one for each batch.

    :param scope: the project, as the ledger names it.
    :param base_url: of the public addresses.
    :param delete_insights: with a dashboard, delete those of its insights that are on no other one.
    """

    system = "posthog"
    look_first = True
    can_duplicate = True
    has_shared_places = False
    creates_once = True

    def __init__(self, *, scope: str, base_url: str = "", delete_insights: bool = False) -> None:
        self.scope = scope
        self._base_url = base_url
        self._delete_insights = delete_insights
        self._listed: dict[str, list[Dashboard]] = {}
        self._by_id: dict[int, Dashboard] = {}
        self._refused: dict[object, ApiError] = {}

    @property
    def options(self) -> str:
        """The version of what the hashes are made of."""
        return "1"

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[Wanted]:
        """Check one tenant's spec as strictly as PostHog would."""
        try:
            spec = PostHogSpec.model_validate(fields)
        except ValidationError as invalid:
            raise SpecError(f"tenant {tenant!r}: {'; '.join(explain(invalid))}") from None
        origin = _number(spec.use_dashboard, tenant)
        if origin is not None and spec.use_template is not None:
            raise SpecError(f"tenant {tenant!r}: use_template and use_dashboard cannot be used together")
        values = {name: getattr(spec, name) for name in NewDashboard.model_fields} | {"use_dashboard": origin}
        mark = marks.mark_of(f"{tenant}\0{spec.purpose}" if spec.purpose else tenant)
        new = marks.marked(NewDashboard.model_construct(**values), mark)
        # What the spec does not say is the users' own.
        said = {name: getattr(new, name) for name in CHANGEABLE if getattr(spec, name) is not None}
        wanted = Wanted(new, DashboardChange.model_construct(**said), spec.sharing, mark)
        return Desired(tenant, None, _Parts.of(wanted).text(), wanted)

    def differs(self, desired: Desired[Wanted], existing: Existing) -> bool:
        """Whether the dashboard's fields or its sharing differ; the purpose must not.

        :raises SpecError: the ledger knows a dashboard of another purpose.
        """
        wanted, known = _Parts.parse(desired.spec_hash), _Parts.parse(existing.spec_hash)
        if wanted.mark != known.mark:
            raise SpecError(
                f"tenant {desired.tenant!r}: the spec's purpose is not what dashboard {existing.dashboard_id} was "
                "created with: undo the change, or remove the tenant's dashboard first. A second dashboard for the "
                "same tenants needs a ledger_table of its own."
            )
        return wanted != known

    async def survey(self, transport: AsyncTransport) -> None:
        """List the project's dashboards."""
        listed = sorted(await transport.run(dashboards.list_dashboards()), key=lambda one: one.id)
        self._listed, self._by_id = {}, {}
        for dashboard in listed:
            self._by_id[dashboard.id] = dashboard
            for mark in marks.mark_on(dashboard):
                self._listed.setdefault(mark, []).append(dashboard)

    async def find(self, transport: AsyncTransport, desired: Desired[Wanted], *, ours: bool) -> Existing | None:
        """The oldest dashboard with the tenant's mark."""
        listed = self._listed.get(desired.wanted.mark)
        if not listed:
            return None
        shall, is_shared = desired.wanted.sharing.enabled, bool(listed[0].is_shared)
        # The list does not say all that the spec does: what is not known equals nothing.
        known = _Parts(desired.wanted.mark, "", "")
        return Existing(str(listed[0].id), str(listed[0].id), known.text(), unfinished=shall and not is_shared)

    def duplicates(self, desired: Desired[Wanted]) -> Sequence[Existing]:
        """Younger dashboards with the tenant's mark."""
        unknown = _Parts(desired.wanted.mark, "", "").text()
        listed = self._listed.get(desired.wanted.mark, [])[1:]
        return [Existing(str(one.id), str(one.id), unknown) for one in listed]

    async def create(self, transport: AsyncTransport, desired: Desired[Wanted]) -> Existing:
        """Create the dashboard, and share it."""
        wanted = desired.wanted
        origin = (wanted.new.use_template, wanted.new.use_dashboard)
        if origin in self._refused:
            # Each try would leave a half-made dashboard behind, and cost a list to find it.
            raise _again(self._refused[origin])
        try:
            dashboard = await transport.run(marks.create_marked(wanted.new, wanted.mark))
        except InvalidRequestError as refused:
            if refused.message.startswith(marks.GHOSTLY):
                self._refused[origin] = refused
            raise
        existing = Existing(str(dashboard.id), str(dashboard.id), _Parts.of(wanted)._replace(sharing=NEW).text())
        try:
            return await self.update(transport, desired, existing)
        except NotFoundError as gone:
            raise AlreadyExistsError(
                "the new dashboard is gone; another run may have made one too, and removed this one as the second",
                endpoint=gone.endpoint,
                dashboard=gone.dashboard,
            ) from None

    async def update(self, transport: AsyncTransport, desired: Desired[Wanted], existing: Existing) -> Existing:
        """Set the dashboard's fields, its sharing, or both."""
        wanted = desired.wanted
        number = int(existing.dashboard_id)
        parts, known = _Parts.parse(desired.spec_hash), _Parts.parse(existing.spec_hash)
        if parts.fields != known.fields:
            await transport.run(dashboards.update_dashboard(number, wanted.change))
        # A new dashboard is not shared.
        if parts.sharing not in (known.sharing, _hash(wire(UNSHARED)) if known.sharing == NEW else None):
            await transport.run(
                sharing.update_sharing(
                    number,
                    enabled=wanted.sharing.enabled,
                    settings=wanted.sharing.settings,
                    password_required=wanted.sharing.password_required,
                )
            )
        return Existing(existing.dashboard_id, existing.embed_id, desired.spec_hash)

    async def delete(self, transport: AsyncTransport, tenant: str, existing: Existing) -> None:
        """Delete the dashboard, which PostHog can restore, unless the list shows that it is nobody's of ours."""
        listed = self._by_id.get(int(existing.dashboard_id))
        if listed is None:
            return
        if _Parts.parse(existing.spec_hash).mark not in marks.mark_on(listed):
            raise AlreadyExistsError(
                "the dashboard no longer carries the tenant's mark in its tags or description; it was not deleted",
                endpoint=dashboards.DELETE_DASHBOARD.name,
                tenant=tenant,
                dashboard=existing.dashboard_id,
            )
        with suppress(NotFoundError):
            await transport.run(
                dashboards.delete_dashboard(int(existing.dashboard_id), delete_insights=self._delete_insights)
            )

    async def url(self, transport: AsyncTransport, existing: Existing) -> str | None:
        """The public address; None where the dashboard is not shared."""
        shared = await transport.run(sharing.get_sharing(int(existing.dashboard_id)))
        return sharing.public_url(self._base_url, shared)


class _Parts(NamedTuple):
    """What a spec hash is made of: the mark, and what an update can change."""

    mark: str
    fields: str
    sharing: str

    @classmethod
    def of(cls, wanted: Wanted) -> _Parts:
        return cls(
            wanted.mark,
            _hash(wire(wanted.change)),
            _hash(wire(wanted.sharing)),
        )

    @classmethod
    def parse(cls, text: str) -> _Parts:
        mark, fields, sharing = text.split(".")
        return cls(mark, fields, sharing)

    def text(self) -> str:
        return ".".join(self)


def _number(value: object, tenant: str) -> int | None:
    if value is None:
        return None
    digits = str(value)
    if not (digits.isascii() and digits.isdigit() and int(digits)):
        raise SpecError(f"tenant {tenant!r}: use_dashboard is {value!r}; it is the number of a dashboard")
    return int(digits)


def _again(error: ApiError) -> InvalidRequestError:
    """The same refusal for another tenant."""
    return InvalidRequestError(error.message, status=error.status, code=error.code, endpoint=error.endpoint)


def _hash(fields: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(fields, sort_keys=True).encode(), digest_size=8).hexdigest()

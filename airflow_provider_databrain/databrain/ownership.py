"""Whose dashboard is it? What proves that a dashboard in Databrain belongs to a client, and to a tenant of that client.

What counts as proof:

- Our stamp in the dashboard's metadata: the client id, and the tenant's key if that is not the client id.
- Without a stamp, the title ``{dashboardId}_{clientId}``, which Databrain gives by itself. It proves the client only.

What never counts:

- The list's filter by client. Its name is inferred, and a server that ignores it answers with all clients' embeds.
- The embed's name, and a dashboard id that looks like a tenant's.

What is never done:

- A dashboard is never adopted without proof, nor if the proof names another client or tenant.
- If a dashboard has several embeds, none is chosen, except the embed that has the dashboard's id: the two were created
  together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_provider_databrain.client.errors import AlreadyExistsError
from airflow_provider_databrain.databrain.api.embeds import CREATE_DASHBOARD_EMBED, CreateDashboardEmbed, Embed

STAMP = "airflowProviderClientId"
"""The key in a dashboard's ``metadata`` for the client that it belongs to."""
TENANT_STAMP = "airflowProviderTenant"
"""The key in a dashboard's ``metadata`` for the tenant's key in the table. It is set only if that is not the client
id."""
IF_NOT_LISTED = (
    "The list may be late: then the next run finds it. If that does not help, a dashboard without an embed, or another "
    "data app, has the id. Delete the dashboard in Databrain if nobody needs it, or choose another id."
)
"""What to do if an id is taken and the list shows no embed with it."""


def stamped(embed: CreateDashboardEmbed, tenant: str) -> CreateDashboardEmbed:
    """The same request with our stamp in its metadata."""
    stamp = {STAMP: embed.client_id} | ({} if tenant == embed.client_id else {TENANT_STAMP: tenant})
    return embed.model_copy(update={"metadata": {**(embed.metadata or {}), **stamp}})


def owner_of(embed: Embed) -> str | None:
    """The client that a listed dashboard is proved to belong to; None without proof."""
    dashboard = embed.external_dashboard
    if dashboard is None:
        return None
    if client := _stamp_value(embed, STAMP):
        return client
    prefix = f"{embed.dashboard_id}_"
    title = dashboard.name or ""
    return title.removeprefix(prefix) if title.startswith(prefix) and title != prefix else None


def tenant_of(embed: Embed) -> str | None:
    """The tenant that a listed dashboard is stamped for; None without a stamp.

    A stamp without a tenant means that the tenant's key is the client id.
    """
    return _stamp_value(embed, TENANT_STAMP) or _stamp_value(embed, STAMP)


def adopt(listed: Iterable[Embed], wanted: CreateDashboardEmbed, tenant: str | None = None) -> str:
    """The embed id of an existing dashboard that is proved to belong to the wanted client.

    :param listed: embeds as the API lists them.
    :param tenant: the tenant's key. A dashboard that is stamped for another tenant of the same client is not adopted.
    :raises AlreadyExistsError: the dashboard belongs to another client or tenant, nothing proves whose it is, it has
        several embeds, or it is not listed.
    """
    same_id = [embed for embed in listed if embed.dashboard_id == wanted.dashboard_id]
    candidates = [embed for embed in same_id if embed.embed_id == wanted.dashboard_id] or same_id
    if not candidates:
        raise taken(
            wanted,
            f"the API says that this id is taken, but lists no embed with it in this data app. {IF_NOT_LISTED}",
        )
    if len(candidates) > 1:
        ids = ", ".join(repr(embed.embed_id) for embed in candidates)
        raise taken(wanted, f"the dashboard has several embeds ({ids}), and it is not clear which one to adopt.")
    owner = owner_of(candidates[0])
    if owner is None:
        raise taken(
            wanted,
            f"a dashboard with this id exists, and nothing proves that it belongs to {wanted.client_id!r}: it has "
            f"neither our stamp in its metadata nor the title '{wanted.dashboard_id}_{wanted.client_id}'. "
            "Rename or delete it, or choose another id.",
        )
    if owner != wanted.client_id:
        raise taken(
            wanted,
            f"the dashboard belongs to client {owner!r}, not to {wanted.client_id!r}. "
            "Choose another id for one of them.",
        )
    stamped_for = tenant_of(candidates[0])
    if tenant is not None and stamped_for is not None and stamped_for != tenant:
        raise taken(
            wanted,
            f"the dashboard belongs to tenant {stamped_for!r} of the same client, not to {tenant!r}. "
            "Choose another id for one of them.",
        )
    return candidates[0].embed_id


def taken(wanted: CreateDashboardEmbed, reason: str) -> AlreadyExistsError:
    """The error for a dashboard id that is taken. It names the client and the dashboard."""
    return AlreadyExistsError(
        reason,
        endpoint=CREATE_DASHBOARD_EMBED.name,
        tenant=wanted.client_id,
        dashboard=wanted.dashboard_id,
    )


def _stamp_value(embed: Embed, key: str) -> str | None:
    metadata = embed.external_dashboard.metadata if embed.external_dashboard else None
    value = metadata.get(key) if isinstance(metadata, Mapping) else None
    return value if isinstance(value, str) else None

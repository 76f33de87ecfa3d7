"""The operator that lets members edit a restricted dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.posthog.operators.base import OneDashboardOperator


class AddPostHogCollaboratorsOperator(OneDashboardOperator):
    """Let members edit a restricted dashboard; returns how many were added.

    :param dashboard_id: number of the dashboard; its ``restriction_level`` must be 37 (templated).
    :param user_uuids: UUIDs of the members (templated).
    """

    template_fields: Sequence[str] = (*OneDashboardOperator.template_fields, "user_uuids")

    def __init__(self, *, user_uuids: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_uuids = user_uuids

    def execute(self, context: Context) -> int:
        """Add each member who is not a collaborator yet; returns how many were added."""
        from airflow_provider_databrain.client.errors import AlreadyExistsError

        number = self.number()
        added = 0
        for uuid in [self.user_uuids] if isinstance(self.user_uuids, str) else self.user_uuids:
            try:
                self.hook.add_collaborator(number, uuid)
                added += 1
            except AlreadyExistsError as already:
                already.raise_unless_from_api()
                added += already.after_ambiguous
        return added

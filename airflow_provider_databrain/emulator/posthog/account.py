"""The emulated PostHog's answers about the key's owner, the organization and its projects.

The answers have the fields of recorded ones. Values that have no meaning here are made up.
"""

from __future__ import annotations

import uuid
from typing import Any

from airflow_provider_databrain.emulator.faults import Control
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.posthog.state import Member, PostHogState

STARTED = "2026-01-01T00:00:00.000000Z"
_ADMIN_LEVEL, _MEMBER_LEVEL = 15, 1


class Account:
    """The two calls outside of projects."""

    def __init__(self, state: PostHogState, control: Control) -> None:
        self._state = state
        self._control = control

    def projects(self, key: Key) -> dict[str, Any]:
        """Return the projects that a key can access, on one page."""
        projects = self._projects(key)
        return {"count": len(projects), "next": None, "previous": None, "results": projects}

    def me(self, key: Key) -> dict[str, Any]:
        """Return the person who owns the key."""
        member = self._state.member(key.member)
        teams = [project | {"project_id": project["id"]} for project in self._projects(key)]
        unknown = (
            "pending_email",
            "is_impersonated_until",
            "sensitive_session_expires_at",
            "has_seen_product_intro_for",
            "theme_mode",
            "hedgehog_config",
            "role_at_organization",
        )
        return {
            **dict.fromkeys(unknown),
            "date_joined": STARTED,
            "uuid": member.uuid,
            "distinct_id": member.uuid.replace("-", ""),
            "first_name": member.name.title(),
            "last_name": "",
            "email": member.email,
            "is_email_verified": True,
            "notification_settings": {
                "plugin_disabled": True,
                "error_tracking_issue_assigned": True,
                "project_weekly_digest_disabled": {},
                "all_weekly_digest_disabled": False,
            },
            "anonymize_data": False,
            "toolbar_mode": "toolbar",
            "has_password": True,
            "is_staff": False,
            "is_impersonated": False,
            "team": teams[0],
            "organization": self._organization(member, teams),
            "organizations": [self._organization_in_short(member)],
            "events_column_config": {"active": "DEFAULT"},
            "is_2fa_enabled": False,
            "has_social_auth": False,
            "scene_personalisation": [],
        }

    def _projects(self, key: Key) -> list[dict[str, Any]]:
        return [
            {
                "id": project,
                "uuid": _uuid(f"project {project}"),
                "organization": _uuid("organization"),
                "api_token": f"phc_{_uuid(f'token {project}').replace('-', '')}",
                "name": name,
                "completed_snippet_onboarding": False,
                "has_completed_onboarding_for": None,
                "ingested_event": False,
                "is_demo": False,
                "timezone": "UTC",
                "access_control": False,
            }
            for project, name in self._state.projects()
            if key.project in (None, project)
        ]

    def _organization_in_short(self, member: Member) -> dict[str, Any]:
        return {
            "id": _uuid("organization"),
            "name": "Emulated organization",
            "slug": "emulated-organization",
            "logo_media_id": None,
            "membership_level": _ADMIN_LEVEL if member.admin else _MEMBER_LEVEL,
            "members_can_use_personal_api_keys": True,
        }

    def _organization(self, member: Member, teams: list[dict[str, Any]]) -> dict[str, Any]:
        behaviour = self._control.behaviour
        features = {"advanced_permissions": behaviour.advanced_permissions, "tagging": behaviour.tagging}
        return {
            **self._organization_in_short(member),
            "created_at": STARTED,
            "updated_at": STARTED,
            "plugins_access_level": 9,
            "teams": teams,
            "projects": [
                {"id": team["id"], "organization_id": team["organization"], "name": team["name"]} for team in teams
            ],
            "available_product_features": [
                {"key": name, "name": name} for name, enabled in features.items() if enabled
            ],
            "is_member_join_email_enabled": True,
            "metadata": {"instance_tag": "none"},
            "customer_id": None,
            "enforce_2fa": None,
            "members_can_invite": True,
            "member_count": len(self._state.members()),
            "is_ai_data_processing_approved": None,
            "default_experiment_stats_method": "bayesian",
        }


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))

"""The tables of the emulated PostHog, and the form of its times."""

from __future__ import annotations

from datetime import UTC, datetime

SCHEMA = """
CREATE TABLE IF NOT EXISTS posthog_projects (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS posthog_members (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uuid TEXT NOT NULL UNIQUE,
    admin INTEGER NOT NULL, access INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS posthog_dashboards (
    id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL, owner TEXT,
    deleted INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL, fields TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS posthog_insights (
    id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL, owner TEXT,
    deleted INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, fields TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS posthog_texts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT, last_modified_by TEXT,
    last_modified_at TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS posthog_tiles (
    id INTEGER PRIMARY KEY AUTOINCREMENT, dashboard_id INTEGER NOT NULL, insight_id INTEGER, text_id INTEGER,
    layouts TEXT NOT NULL, color TEXT, deleted INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS posthog_tiles_dashboard ON posthog_tiles (dashboard_id);
CREATE INDEX IF NOT EXISTS posthog_tiles_insight ON posthog_tiles (insight_id);
CREATE TABLE IF NOT EXISTS posthog_tagged (
    project INTEGER NOT NULL, tag TEXT NOT NULL, dashboard_id INTEGER NOT NULL,
    PRIMARY KEY (project, tag, dashboard_id));
CREATE INDEX IF NOT EXISTS posthog_tagged_dashboard ON posthog_tagged (dashboard_id);
DELETE FROM posthog_tagged;
INSERT OR IGNORE INTO posthog_tagged
    SELECT d.project, t.value, d.id FROM posthog_dashboards d, json_each(d.fields, '$.tags') t;
CREATE TABLE IF NOT EXISTS posthog_collaborators (
    id TEXT PRIMARY KEY, dashboard_id INTEGER NOT NULL, member TEXT NOT NULL, added_at TEXT NOT NULL,
    UNIQUE (dashboard_id, member));
CREATE TABLE IF NOT EXISTS posthog_shares (
    id INTEGER PRIMARY KEY AUTOINCREMENT, dashboard_id INTEGER NOT NULL, access_token TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL, enabled INTEGER NOT NULL, password_required INTEGER NOT NULL, settings TEXT,
    expires_at REAL);
CREATE INDEX IF NOT EXISTS posthog_shares_dashboard ON posthog_shares (dashboard_id);
CREATE TABLE IF NOT EXISTS posthog_passwords (
    id INTEGER PRIMARY KEY AUTOINCREMENT, share_id INTEGER NOT NULL, note TEXT NOT NULL,
    created_at TEXT NOT NULL, created_by TEXT NOT NULL);
"""


def now() -> str:
    """Return the time as PostHog writes it: UTC with microseconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

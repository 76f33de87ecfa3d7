"""The tenants, the kinds of dashboards, and the settings of runs.

``FLEET=full`` is the full size: see ``make test-fleet``.
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from airflow_provider_databrain.emulator.faults import PostHogVersion

EXAMPLE = Path(__file__).parents[3] / "example_dags" / "provision_posthog_dashboards.py"
FULL = os.environ.get("FLEET") == "full"
TENANTS = [f"T{number:03}" for number in range(300 if FULL else 40)]
SEED = 20240607
"""Decides where tasks are killed."""
LONGEST_DELAY = 0.006
"""Seconds between a request and the kill."""
CONCURRENCIES = (1, 2, 4, 8, 16)
DEFAULT_CONCURRENCY = 16
"""What the operators take."""
DEFAULT_VERSION: PostHogVersion = "2026-01"
VERSIONS: tuple[PostHogVersion, ...] = (DEFAULT_VERSION, "2025-08", "2026-07")
TEMPLATE = "Product analytics"
TEMPLATE_DESCRIPTION = "An overview of your product."
SOURCE = 1
"""Stands for the id of the dashboard that is copied."""
ACCOUNT, REGION = "0192f0a1-0000-0000-0000-00000000000a", "0192f0a1-0000-0000-0000-00000000000b"
"""Ids of two SQL variables."""
PLANS = ("Pro", "basic", "Enterprise ")
"""PostHog stores tags in lower case and without blanks at the ends."""
SPEC: dict[str, Any] = {
    "name": "{name}",
    "description": "How {name} ({tenant_id}) uses the product",
    "tags": ["tenant", "{plan}", "account {tenant_id}"],
    "filters": {
        "date_from": "-7d",
        "properties": [{"key": "account", "value": "{tenant_id}", "type": "event", "operator": "exact"}],
    },
    "variables": {ACCOUNT: {"variableId": ACCOUNT, "code_name": "account", "value": "{tenant_id} on {plan}"}},
    "breakdown_colors": [{"breakdownValue": "{tenant_id}", "colorToken": "preset-1"}],
    "sharing": {"settings": {"whitelabel": True}},
}
BARE: dict[str, Any] = {name: value for name, value in SPEC.items() if name not in ("name", "description")}


@dataclass(frozen=True)
class Kind:
    """Where a dashboard's tiles come from.

    :param tiles: number of tiles.
    :param copies: whether the insights are copied from the source; None if there is no source.
    """

    spec: Mapping[str, Any]
    tiles: int
    copies: bool | None = None


KINDS: dict[str, Kind] = {
    "blank": Kind(SPEC, 0),
    "DEFAULT_APP": Kind({**SPEC, "use_template": "DEFAULT_APP"}, 6),
    "named": Kind({**SPEC, "use_template": TEMPLATE}, 6),
    "bare": Kind({**BARE, "use_template": TEMPLATE}, 6),
    "shallow": Kind({**SPEC, "use_dashboard": SOURCE}, 3, copies=False),
    "deep": Kind({**SPEC, "use_dashboard": SOURCE, "duplicate_tiles": True}, 3, copies=True),
}
"""``bare`` is a template without a name and a description of ours; ``deep`` copies the source's insights too."""
SHIPPED = Kind(runpy.run_path(str(EXAMPLE))["DASHBOARD"], 6)
"""The dashboard of the example Dag."""


@dataclass(frozen=True)
class Setting:
    """What one run is made with.

    :param kind: one of ``KINDS``.
    :param ledger: whether there is a ledger.
    :param rough: whether answers are lost: each 7th change is done and its connection reset, each 11th is done and
        answered with 500.
    """

    kind: str
    concurrency: int
    tagging: bool = True
    version: PostHogVersion = DEFAULT_VERSION
    ledger: bool = True
    rough: bool = False

    def __str__(self) -> str:
        words = {"untagged": not self.tagging, "ledgerless": not self.ledger, "rough": self.rough}
        return "-".join([self.kind, str(self.concurrency), self.version, *(word for word, so in words.items() if so)])


def short_settings() -> list[Setting]:
    """Return few settings. Each pair of values of two fields is in one of them."""
    return [
        Setting(
            kind,
            concurrency,
            tagging=bool((row + column) % 2),
            version=VERSIONS[(row + 2 * column) % 3],
            ledger=(row // 2 + column // 2) % 2 == 0,
            rough=bool((row // 2 + column) % 2),
        )
        for row, concurrency in enumerate(CONCURRENCIES)
        for column, kind in enumerate(KINDS)
    ]


def all_settings() -> list[Setting]:
    """Return each kind at each concurrency, with and without tagging, and ``short_settings``."""
    every = [
        Setting(kind, concurrency, tagging=tagging)
        for concurrency, kind, tagging in product(CONCURRENCIES, KINDS, (True, False))
    ]
    return list(dict.fromkeys([*every, *short_settings()]))

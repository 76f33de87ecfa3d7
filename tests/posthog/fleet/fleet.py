"""The tenants of one test: their warehouse, an emulated PostHog, and the tasks that provision them."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import requests

from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog.state import DashboardRow
from airflow_provider_databrain.posthog.api.marks import mark_of
from tests.chaos.killer import Tasks, Tripwire
from tests.chaos.task import Job
from tests.posthog.fleet.settings import ACCOUNT, KINDS, PLANS, REGION, TENANTS, Kind, Setting
from tests.posthog.fleet.watcher import EMPTY, WatchedEmulator

PATIENCE_SECONDS = 600.0
"""How long one task may take."""
QUIET_SECONDS = 0.2
"""How long no request may be under way before the calls of a dead task count as done."""
LATENCY_SECONDS = 0.002
"""Without it, few requests would be under way at the same time."""


@dataclass(frozen=True)
class Ran:
    """One task that has ended.

    :param code: 0 if it succeeded; minus the signal's number if it was killed.
    :param result: what it returned and pushed; empty if it was killed.
    """

    code: int
    result: Mapping[str, Any]

    @property
    def ids(self) -> dict[str, str]:
        """The tenants' dashboard ids that the next task gets."""
        pushed = self.result.get("pushed", {}).get("return_value", {})
        ids: dict[str, str] = self.result.get("returned", pushed)
        return ids

    @property
    def failures(self) -> dict[str, str]:
        """The message of each failed tenant."""
        return {one["tenant"]: one["message"] for one in self.result.get("pushed", {}).get("failures", [])}

    @property
    def error(self) -> str:
        """The last line of what the task raised, if no tenant failed."""
        lines = str(self.result.get("error") or "").strip().splitlines()
        return lines[-1] if lines and not self.failures else ""


class Fleet:
    """The tenants of one test: a new warehouse and an empty PostHog, with the source and two dashboards of people.

    :param folder: an empty folder.
    :param kind: replaces the setting's kind.
    """

    def __init__(
        self,
        emulator: WatchedEmulator,
        tasks: Tasks,
        folder: Path,
        setting: Setting,
        *,
        seed: int = 0,
        kind: Kind | None = None,
    ) -> None:
        self.emulator = emulator
        self.setting = setting
        self._tasks = tasks
        self._folder = folder
        self.kind = kind or KINDS[setting.kind]
        self._marks = {mark_of(tenant): tenant for tenant in TENANTS}
        self._runs = 0
        self._plans = PLANS
        control = emulator.control
        control.arrived = Tripwire()
        control.set_faults([])
        emulator.posthog.clear()
        control.behaviour = Behaviour(
            latency=LATENCY_SECONDS, tagging=setting.tagging, posthog_version=setting.version, seed=seed
        )
        with closing(sqlite3.connect(self.warehouse)) as database, database:
            database.execute("CREATE TABLE tenants (tenant_id TEXT PRIMARY KEY, name TEXT, plan TEXT)")
            database.executemany("INSERT INTO tenants VALUES (:tenant_id, :name, :plan)", self.rows())
        self.spec = {**self.kind.spec}
        if self.kind.copies is not None:
            self.spec["use_dashboard"] = self._add_source()
        for _ in range(2):
            emulator.posthog.add_dashboard(name="Branch", description="A person's", tags=["person's"])
        self.others = self.dashboards()
        self._watched: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        emulator.watcher.watch(self.owner, self._watched)
        self._allow()
        self.sent()

    @property
    def warehouse(self) -> Path:
        """The SQLite file with the tenants and the ledger."""
        return self._folder / "warehouse.db"

    def rows(self) -> list[dict[str, str]]:
        """The tenant table. One tenant in four has a name that others have too."""
        return [
            {
                "tenant_id": tenant,
                "name": "Branch" if number % 4 == 0 else f"Client {tenant}",
                "plan": self._plans[number % len(self._plans)],
            }
            for number, tenant in enumerate(TENANTS)
        ]

    def change_plans(self) -> None:
        """Give each tenant another plan, and so other tags and variables."""
        self._plans = (*self._plans[1:], self._plans[0])
        with closing(sqlite3.connect(self.warehouse)) as database, database:
            database.executemany("UPDATE tenants SET plan = :plan WHERE tenant_id = :tenant_id", self.rows())
        self._allow()

    def run(self, wire: Tripwire | None = None, delay: float = 0.0, *, retry: bool = False) -> Ran:
        """Run the task to its end, or kill it.

        :param retry: the next try of the run before.
        """
        job = self._job(retry=retry)
        if self.setting.rough:
            self._disturb()
        code = self._tasks.run(job, wire, delay)
        return self._ran(job, code)

    def run_two(self, wire: Tripwire | None = None, delay: float = 0.0) -> list[Ran]:
        """Run two tasks at the same time, each in a process of its own. With a tripwire, kill the first one."""
        jobs = [self._job() for _ in range(2)]
        if self.setting.rough:
            self._disturb()
        codes = self._tasks.run_together(*jobs, wire=wire, delay=delay)
        return [self._ran(job, code) for job, code in zip(jobs, codes, strict=True)]

    def watch_changes(self, limit: int) -> Tripwire:
        """A tripwire that is reached when ``limit`` requests that change something have arrived."""
        wire = Tripwire(lambda method, path: method != "GET", limit)
        self.emulator.control.arrived = wire
        return wire

    def sent(self) -> list[str]:
        """The calls since the last use of this method."""
        self.wait()
        control = self.emulator.control
        calls = [f"{one.method} {re.sub(r'/[0-9]+(?=/)', '/N', one.path)}" for one in control.log]
        control.log.clear()
        return calls

    def wait(self) -> None:
        """Wait until the emulator is quiet. Calls of a dead task may still be under way."""
        # The server answers this request after it has read all earlier ones.
        requests.get(f"{self.emulator.url}/_emulator/calls", timeout=60)
        since = time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            if self.emulator.server.server_state.tasks:
                since = time.monotonic()
            time.sleep(0.005)

    def dashboards(self) -> dict[int, DashboardRow]:
        """All dashboards of the project by id, without the times at which somebody opened them."""
        rows = sorted(self.emulator.posthog.dashboards(), key=lambda row: row.id)
        return {row.id: replace(row, fields=row.fields | {"last_accessed_at": None}) for row in rows}

    def ledger(self) -> dict[str, str] | None:
        """The dashboard id of each tenant in the ledger that has one; None without a ledger."""
        if not self.setting.ledger:
            return None
        with closing(sqlite3.connect(self.warehouse)) as database:
            rows = database.execute("SELECT tenant, dashboard_id, status FROM tenant_dashboards").fetchall()
        return {tenant: key for tenant, key, status in rows if status in ("created", "adopted", "updated")}

    def owner(self, fields: Mapping[str, Any]) -> str | None:
        """Return the tenant whose mark a dashboard carries."""
        text = f"{fields['name']}\n{fields['description']}\n{fields['tags']}"
        owners = {self._marks.get(mark) for mark in re.findall(r"airflow-[0-9a-f]{20}", text)}
        return owners.pop() if len(owners) == 1 else None

    def _allow(self) -> None:
        """Let the tenants' pages show what the table says now."""
        for row in self.rows():
            asked = filled(self.spec, row)
            self._watched[row["tenant_id"]].append({name: asked.get(name, empty) for name, empty in EMPTY.items()})

    def _disturb(self) -> None:
        kinds = (("reset_after", 7), ("error_after", 11))
        self.emulator.control.set_faults(
            [
                Fault.model_validate({"kind": kind, "every": every, "method": method})
                for method in ("POST", "PATCH")
                for kind, every in kinds
            ]
        )

    def _add_source(self) -> int:
        """Add the dashboard that is copied. It shows the data of one customer."""
        posthog = self.emulator.posthog
        key = posthog.add_dashboard(
            name="Source",
            description="For our largest customer",
            tags=["source"],
            filters={"date_from": "-90d", "properties": [{"key": "account", "value": "Largest", "type": "event"}]},
            variables={
                ACCOUNT: {"variableId": ACCOUNT, "code_name": "account", "value": "Largest"},
                REGION: {"variableId": REGION, "code_name": "region", "value": "Mars"},
            },
            breakdown_colors=[{"breakdownValue": "Largest", "colorToken": "preset-9"}],
            data_color_theme_id=2,
        )
        for number in range(2):
            insight = posthog.contents.add_insight(1, "owner", name=f"Insight {number}")
            posthog.contents.add_tile(key, insight=insight, layouts={})
        posthog.contents.add_tile(key, text=posthog.contents.add_text("owner", "# Read me"), layouts={})
        return key

    def _job(self, *, retry: bool = False) -> Job:
        self._runs += not retry
        number = self._runs
        fields = {
            "conn_type": "posthog",
            "host": self.emulator.url,
            "password": self.emulator.posthog_key,
            "extra": {"project_id": 1},
        }
        ledger = {"ledger_conn_id": "warehouse"} if self.setting.ledger else {}
        return Job(
            operator="posthog.ProvisionPostHogDashboardsOperator",
            arguments={
                "sql_conn_id": "warehouse",
                "table": "tenants",
                "key_column": "tenant_id",
                "spec": self.spec,
                "concurrency": self.setting.concurrency,
                **ledger,
            },
            connections={
                "posthog_default": json.dumps(fields),
                "warehouse": json.dumps({"conn_type": "sqlite", "host": str(self.warehouse)}),
            },
            run_id=f"run-{number}",
            try_number=2 if retry else 1,
            linger=0.0,
            result=str(self._folder / f"{number}-{int(retry)}.json"),
            log=str(self._folder / "log"),
        )

    def _ran(self, job: Job, code: int) -> Ran:
        path = Path(job["result"])
        return Ran(code, json.loads(path.read_text()) if path.exists() else {})


def filled(value: Any, row: Mapping[str, str]) -> Any:
    """Fill in the columns of one row, without the provider's code."""
    if isinstance(value, str):
        for column, content in row.items():
            value = value.replace(f"{{{column}}}", content)
        return value
    if isinstance(value, Mapping):
        return {name: filled(item, row) for name, item in value.items()}
    return [filled(item, row) for item in value] if isinstance(value, list) else value

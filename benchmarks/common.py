"""What the benchmarks share: tenants, a server, runs of the batch operator, and tables of results.

Heavy imports are inside functions, because the process that measures memory must not have them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sa

ROOT = Path(__file__).parent.parent
KEY = "benchmark-key"
CREATE_PATH = "/api/v2/data-app/dashboard-embeds"

DASHBOARD: dict[str, Any] = {
    "dashboard_id": "client-{tenant_id}",
    "client_id": "{tenant_id}",
    "workspace_name": "analytics",
    "name": "{name}",
    "access_settings": {
        "datamart_name": "customer-analytics",
        "is_allow_email_reports": False,
        "is_allow_manage_metrics": True,
        "is_allow_metric_creation": True,
        "is_allow_metric_deletion": False,
        "is_allow_metric_layout_change": True,
        "is_allow_metric_update": True,
        "is_allow_underlying_data": False,
        "is_allow_create_dashboard_view": True,
        "metric_creation_mode": "DRAG_DROP",
    },
}
"""The spec of the dashboard that all contenders create."""


def body(tenant: str, name: str) -> dict[str, Any]:
    """The body of the request for one tenant, for contenders that do not use the batch operator."""
    from airflow_provider_databrain.client.models import wire
    from airflow_provider_databrain.databrain.api.embeds import CreateDashboardEmbed

    fields = DASHBOARD | {"dashboard_id": f"client-{tenant}", "client_id": tenant, "name": name}
    return wire(CreateDashboardEmbed.model_validate(fields))


def rows(count: int) -> Iterator[tuple[str, str, str]]:
    """Tenants: id, name, region."""
    for number in range(1, count + 1):
        yield f"tenant-{number:06}", f"Tenant {number}", ("eu", "us", "apac")[number % 3]


def fill(engine: sa.Engine, count: int) -> None:
    """Drop the table ``tenants`` and create it again with ``count`` rows."""
    import sqlalchemy as sa

    columns = [
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("region", sa.Text),
    ]
    table = sa.Table("tenants", sa.MetaData(), *columns)
    names = [column.name for column in columns]
    with engine.begin() as connection:
        table.drop(connection, checkfirst=True)
        table.create(connection)
        connection.execute(sa.insert(table), [dict(zip(names, row, strict=True)) for row in rows(count)])


@dataclass(frozen=True)
class Answering:
    """A running ``benchmarks.server``."""

    url: str

    def counts(self) -> Counter[str]:
        """Calls so far, by kind. ``limited`` counts the calls of any kind that were answered 429."""
        return Counter({kind: int(count) for kind, count in self._stats().items() if kind != "cpu"})

    def cpu(self) -> float:
        """CPU seconds that the server has used."""
        return float(self._stats()["cpu"])

    def _stats(self) -> dict[str, float]:
        with urllib.request.urlopen(f"{self.url}/_stats", timeout=30) as answer:  # noqa: S310 - our own server
            stats: dict[str, float] = json.load(answer)
            return stats


@contextmanager
def answering(latency: float = 0.0, *more: str) -> Iterator[Answering]:
    """Run a server in another process, and set the connection ``databrain_default`` to it."""
    command = [sys.executable, "-m", "benchmarks.server", "--latency", str(latency), *more]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - a pipe
            url = f"http://127.0.0.1:{int(process.stdout.readline())}"
            connect("databrain_default", conn_type="databrain", host=url, password=KEY)
            yield Answering(url)
        finally:
            process.terminate()


def connect(conn_id: str, **fields: object) -> None:
    """Set an Airflow connection for this process and for the processes that it starts."""
    os.environ[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(fields)


@contextmanager
def folder() -> Iterator[Path]:
    """Make a temporary folder, with Airflow's home in it."""
    with TemporaryDirectory(prefix="benchmark-") as name:
        os.environ["AIRFLOW_HOME"] = str(Path(name) / "home")
        # Airflow logs a warning for each ``execute`` outside of a task.
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        yield Path(name)


class TaskInstance:
    """Stands in for Airflow's task instance."""

    dag_id = "benchmark"
    try_number = 1

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        """Store an XCom."""
        self.xcoms[key] = value


@dataclass(frozen=True)
class Run:
    """One run of a contender: seconds of time, and of CPU time of all threads."""

    tenants: int
    seconds: float
    cpu: float

    @property
    def per_second(self) -> float:
        """Tenants per second."""
        return self.tenants / self.seconds

    @property
    def microseconds(self) -> float:
        """Microseconds of CPU time per tenant."""
        return self.cpu / self.tenants * 1e6


@contextmanager
def timed(tenants: int) -> Iterator[list[Run]]:
    """Measure the block; afterwards the list contains the run."""
    measured: list[Run] = []
    started, cpu = time.perf_counter(), time.process_time()
    yield measured
    measured.append(Run(tenants, time.perf_counter() - started, time.process_time() - cpu))


def provision(run_id: str, **arguments: Any) -> tuple[dict[str, str], Counter[str]]:
    """Run the batch operator's ``execute`` over the table ``tenants`` of the connection ``warehouse``.

    :return: the ids, and the number of tenants by outcome.
    """
    from airflow_provider_databrain import ProvisionTenantDashboardsOperator

    operator = ProvisionTenantDashboardsOperator(
        task_id="provision",
        sql_conn_id="warehouse",
        table="tenants",
        key_column="tenant_id",
        spec=DASHBOARD,
        **arguments,
    )
    task_instance = TaskInstance(run_id)
    context: Any = {"ti": task_instance}
    return operator.execute(context), Counter(task_instance.xcoms["counts"])


def demand(what: str, actual: object, expected: object) -> None:
    """Stop the benchmark if a contender did not do all of the work."""
    if actual != expected:
        raise RuntimeError(f"{what}: {actual} instead of {expected}")


def options(name: str, description: str | None, **more: Mapping[str, Any]) -> argparse.Namespace:
    """Read the command line. Each benchmark can be tried out with a part of its tenants."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.{name}", description=description)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the tenants, to try a benchmark out")
    for option, settings in more.items():
        parser.add_argument(f"--{option}", **settings)
    return parser.parse_args()


def verdict(met: bool) -> str:
    """The table cell for a goal."""
    return "met" if met else "**not met**"


def show(title: str, header: Sequence[str], lines: Iterable[Sequence[object]], *notes: str) -> None:
    """Print a section of ``benchmarks/README.md``."""
    print(f"\n## {title}\n")
    print(f"Python {platform.python_version()}, Airflow {version('apache-airflow')}, ", end="")
    print(f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}.\n")
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for line in lines:
        print(f"| {' | '.join(map(str, line))} |")
    for note in notes:
        print(f"\n{note}")
    sys.stdout.flush()


def progress(text: str) -> None:
    """Print progress to stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

"""The time that an import adds to the parsing of a Dag file, compared with Airflow's HttpOperator.

Each import is measured in a new process.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.common import folder, options, show, verdict

ROUNDS = 15
MOST = 0.1
NAMES = "PlanTenantBatchesOperator, ProvisionTenantDashboardsOperator"
IMPORTS = {
    "the package": "import airflow_provider_databrain",
    "the operators of the README's first Dag": f"from airflow_provider_databrain import {NAMES}",
    "the same operators, from their modules": (
        "import airflow_provider_databrain.tenants.operators.plan;"
        "import airflow_provider_databrain.databrain.operators.tenants"
    ),
    "HttpOperator": "from airflow.providers.http.operators.http import HttpOperator",
}
OURS, THEIRS = "the operators of the README's first Dag", "HttpOperator"


def milliseconds(statement: str) -> float:
    """Milliseconds that an import adds to ``from airflow.sdk import BaseOperator``."""
    script = (
        "import time; from airflow.sdk import BaseOperator; started = time.perf_counter();"
        f"{statement}; print((time.perf_counter() - started) * 1000)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    options("imports", __doc__)
    with folder():
        times = [{name: milliseconds(statement) for name, statement in IMPORTS.items()} for _ in range(ROUNDS)]
    medians = {name: statistics.median(measured[name] for measured in times) for name in IMPORTS}
    ratio = medians[OURS] / medians[THEIRS]
    lines = [[name, f"{median:.1f}"] for name, median in medians.items()]
    note = f"Ratio of {OURS} to {THEIRS}: {ratio:.3f}; goal: at most {MOST:g}: {verdict(ratio <= MOST)}."
    show("Milliseconds that an import adds to the import of `airflow.sdk`", ["import", "milliseconds"], lines, note)


if __name__ == "__main__":
    main()

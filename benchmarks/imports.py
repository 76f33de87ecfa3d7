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
MODULES = {
    "this provider's operators": "airflow_provider_databrain.databrain.operators.tenants",
    "HttpOperator": "airflow.providers.http.operators.http",
}


def milliseconds(module: str) -> float:
    """Milliseconds that the import of a module adds to ``from airflow.sdk import BaseOperator``."""
    script = (
        "import time; from airflow.sdk import BaseOperator; started = time.perf_counter();"
        f"import {module}; print((time.perf_counter() - started) * 1000)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    options("imports", __doc__)
    with folder():
        times = [{name: milliseconds(module) for name, module in MODULES.items()} for _ in range(ROUNDS)]
    medians = {name: statistics.median(measured[name] for measured in times) for name in MODULES}
    ours, theirs = medians.values()
    lines = [[name, f"{median:.1f}"] for name, median in medians.items()]
    note = f"Ratio {ours / theirs:.3f}; goal: at most {MOST:g}: {verdict(ours / theirs <= MOST)}."
    show("Milliseconds that an import adds to the import of `airflow.sdk`", ["import", "milliseconds"], lines, note)


if __name__ == "__main__":
    main()

"""Run PostHog's operators as Airflow runs them."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator

from airflow_provider_databrain.emulator.server import Emulator


class TaskInstance:
    """One try of a task in a Dag run."""

    def __init__(self, run_id: str = "run-1", try_number: int = 1, map_index: int = -1, task_id: str = "t") -> None:
        self.dag_id, self.task_id, self.run_id, self.map_index = "dag", task_id, run_id, map_index
        self.try_number = try_number


def run(operator: type[BaseOperator], instance: TaskInstance | None = None, **options: Any) -> Any:
    """Render an operator's template fields and execute it, as Airflow does."""
    task = operator(task_id="t", **{"max_retry_seconds": 0, **options})
    context: Any = {"ti": instance or TaskInstance(), "params": {"n": 7}}
    task.render_template_fields(context)
    return task.execute(context)


def links(task: Any) -> dict[str, str]:
    return {link.name: link.get_link(task, ti_key=None) for link in task.operator_extra_links}


def fields(emulator: Emulator, number: int) -> dict[str, Any]:
    return emulator.posthog.found(number)[0].fields


def as_text(number: int) -> str:
    """A template that renders to the number as a string."""
    return f"{{{{ {number} }}}}"

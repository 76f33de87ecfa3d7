"""What was asked of a dashboard, and what the answer shows: find the difference, and set it.

A success does not mean that PostHog has set each field. It ignores ``variables`` when a dashboard is created, it keeps
the source's filters and variables in a copy, a template replaces description and filters, and an empty object changes
nothing. So the answer is compared with the request, what differs is sent again, and what still differs is an error.

Tags are never sent with a create. When PostHog writes tags, it also deletes the project's unused tags. Two creates at
the same time delete each other's new tag, and then a create ends with 500 although the dashboard exists. An update can
be sent again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow_provider_databrain.client.errors import InvalidRequestError, MalformedAnswerError, ServerError
from airflow_provider_databrain.client.models import wire
from airflow_provider_databrain.posthog.api import dashboards
from airflow_provider_databrain.posthog.api.dashboards import create_dashboard, update_dashboard
from airflow_provider_databrain.posthog.api.endpoint import Steps
from airflow_provider_databrain.posthog.api.models import Dashboard, DashboardChange, NewDashboard

AT_CREATION = ("use_template", "use_dashboard", "duplicate_tiles", "create_in_folder")
"""Fields that PostHog uses only when a dashboard is created."""
CHANGEABLE = tuple(name for name in NewDashboard.model_fields if name not in (*AT_CREATION, "tiles"))
"""Fields that an update can set."""
_COMPARED = (
    "name",
    "description",
    "pinned",
    "tags",
    "restriction_level",
    "filters",
    "variables",
    "breakdown_colors",
    "data_color_theme_id",
)
_IDENTITY = ("code_name", "variableId")
"""What PostHog brings up to date in a variable, if the variable's definition has changed."""


def create_as_asked(dashboard: NewDashboard | Mapping[str, Any]) -> Steps[Dashboard]:
    """Create a dashboard: blank, from a template, or as a copy of another dashboard. Then set what PostHog ignored.

    Tags, variables, and what a template or a copy has replaced are set by an update. The create is not sent again after
    an ambiguous failure, because each create makes another dashboard.

    :raises ValueError: a field is unknown or has a wrong value, or both a template and a source dashboard are named.
    :raises InvalidRequestError: PostHog did not keep a field. The dashboard exists; the error names it.
    """
    new = dashboard if isinstance(dashboard, NewDashboard) else NewDashboard.model_validate(dashboard)
    asked = changeable(new)
    with explained(asked):
        created: Dashboard = yield create_dashboard(new.model_copy(update={"tags": None}))
    return created if is_as_asked(asked, created) else (yield from set_fields(created.id, asked))


def changeable(new: NewDashboard) -> dict[str, Any]:
    """What an update sends to give a dashboard the fields of ``new``: only those that have a value."""
    change = DashboardChange.model_construct(**{name: getattr(new, name) for name in CHANGEABLE})
    return wire(change)


def set_fields(dashboard_id: int, asked: Mapping[str, Any]) -> Steps[Dashboard]:
    """Update a dashboard and compare the answer. What differs is sent once more.

    :param asked: the fields under the API's names.
    :raises InvalidRequestError: a field still differs.
    :raises MalformedAnswerError: the answer is about another dashboard.
    """
    with explained(asked):
        answer: Dashboard = yield update_dashboard(dashboard_id, _change(asked))
    _check_id(answer, dashboard_id)
    left = _left(asked, answer)
    if left:
        again = {name: asked[name] for name in left}
        if "filters" in again and not again["filters"] and isinstance(answer.filters, Mapping):
            again["filters"] = dict.fromkeys(answer.filters)
        answer = yield update_dashboard(dashboard_id, _change(again))
        _check_id(answer, dashboard_id)
        left = _left(asked, answer)
    if left:
        endpoint = dashboards.UPDATE_DASHBOARD.name
        raise InvalidRequestError(_not_kept(left, asked), endpoint=endpoint, dashboard=str(dashboard_id))
    return answer


def _check_id(answer: Dashboard, dashboard_id: int) -> None:
    if answer.id != dashboard_id:
        error = MalformedAnswerError(f"the answer is about another dashboard, {answer.id}")
        error.endpoint, error.dashboard = dashboards.UPDATE_DASHBOARD.name, str(dashboard_id)
        raise error


@contextmanager
def explained(asked: Mapping[str, Any]) -> Iterator[None]:
    """Say after a 500 what may be wrong with the request."""
    try:
        yield
    except ServerError as error:
        if error.from_api and asked.get("data_color_theme_id") is not None:
            error.message += " PostHog answers so too if the project has no color theme of this data_color_theme_id."
        variables = asked.get("variables") or {}
        if error.from_api and not all(isinstance(variable, Mapping) for variable in variables.values()):
            error.message += " PostHog answers so too if a variable is not an object with code_name and value."
        raise


def _left(asked: Mapping[str, Any], answer: Dashboard) -> list[str]:
    """The fields that an update did not set. Without the feature for tags, PostHog ignores them; this is no error."""
    return [name for name in differing(asked, answer) if not (name == "tags" and not answer.tags)]


def is_as_asked(asked: Mapping[str, Any], answer: Dashboard) -> bool:
    """Whether an answer proves that each field has the value that was asked for."""
    shown = all(name in answer.model_fields_set for name in _COMPARED if name in asked)
    return shown and not differing(asked, answer)


def differing(asked: Mapping[str, Any], answer: Dashboard) -> list[str]:
    """The fields that an answer shows with another value than asked. A field that the answer lacks does not count."""
    return [
        name
        for name in _COMPARED
        if name in asked and name in answer.model_fields_set and not _same(name, asked[name], answer)
    ]


def _same(name: str, asked: Any, answer: Dashboard) -> bool:
    shown = getattr(answer, name)
    if name in ("name", "description"):
        # PostHog removes blanks at both ends.
        return str(asked).strip() == (shown or "")
    if name == "tags":
        return {tag.strip().lower() for tag in asked} == set(shown or ())
    if name == "filters":
        return bool(_without_nulls(asked) == _without_nulls(shown or {}))
    if name == "variables":
        return _has_variables(asked, answer)
    return bool(asked == shown)


def _has_variables(asked: Any, answer: Dashboard) -> bool:
    """Whether the variables are as asked. PostHog shows none that the project lacks, even if they are stored."""
    wanted, shown = _by_code_name(asked), _by_code_name(answer.variables or {})
    if wanted == shown or not answer.persisted_variables:
        return bool(wanted == shown)
    stored = _by_code_name(answer.persisted_variables)
    return bool(wanted == stored and isinstance(shown, Mapping) and shown.items() <= wanted.items())


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return value


def _by_code_name(variables: Any) -> Any:
    """Variables by their code name, or by their key if they have none. PostHog may show them under a newer key."""
    if not isinstance(variables, Mapping):
        return variables
    found: dict[str, Any] = {}
    for key, variable in variables.items():
        if isinstance(variable, Mapping):
            rest = {name: part for name, part in variable.items() if name not in _IDENTITY}
            found[str(variable.get("code_name") or key)] = _without_nulls(rest)
        else:
            found[str(key)] = variable
    return found


def _change(fields: Mapping[str, Any]) -> DashboardChange:
    known = {name: value for name, value in fields.items() if name in DashboardChange.model_fields}
    extra = {name: value for name, value in fields.items() if name not in DashboardChange.model_fields}
    return DashboardChange.model_construct(**known, extra=extra)


def _not_kept(left: list[str], asked: Mapping[str, Any]) -> str:
    message = f"PostHog answered that it has updated the dashboard, but did not keep {', '.join(left)}"
    empty = [name for name in left if asked[name] == {}]
    if empty:
        message += f"; an empty object does not clear {', '.join(empty)}: clear them in PostHog, or give other values"
    elif "variables" in left:
        message += "; check that the project has these variables, with these code names"
    return message

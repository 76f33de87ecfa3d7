"""What each operator and sensor does with an argument of another type than its parameter says."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from jinja2 import UndefinedError

from airflow_provider_databrain.base.arguments import (
    KINDS,
    ReadsArguments,
    checked_parameters,
    kind_of,
    parameters_of,
    read_flag,
    read_number,
    read_whole,
)
from airflow_provider_databrain.conduit.operators import CreateConduitWorkspaceOperator
from airflow_provider_databrain.databrain.operators.embeds import DeleteEmbedOperator, ListEmbedsOperator
from airflow_provider_databrain.databrain.operators.tenants import (
    ProvisionTenantDashboardsOperator,
    RemoveTenantDashboardsOperator,
)
from airflow_provider_databrain.databrain.sensors import EmbedSensor, WorkspaceMetricsSensor
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.operators.sharing import SharePostHogDashboardOperator
from tests.dags.test_every_operator import public_operators

OPERATORS = sorted(set(public_operators()), key=lambda operator: operator.__name__)
SAMPLES: dict[str, Any] = {
    "delete": "embed",
    "expire_after": timedelta(days=1),
    "store": "builtins.print",
    "dashboard_id": 1,
    "workspace_id": 1,
    "template": {},
    "constants": {"a": 1},
    "access_settings": {},
    "user_uuids": ["a"],
    "since": "2026-01-01",
}
TABLE: dict[str, Any] = {"sql_conn_id": "warehouse", "table": "tenants", "key_column": "id"}
EMBED = {"task_id": "t", "embed_id": "e"}


def own_parameters(operator: type) -> Iterator[inspect.Parameter]:
    """The parameters of this package's classes."""
    for base in operator.__mro__:
        if base.__module__.startswith("airflow_provider_databrain") and "__init__" in vars(base):
            yield from parameters_of(vars(base)["__init__"])


def made(operator: Any, **arguments: Any) -> Any:
    """The operator, with samples for what it needs."""
    required = {each.name for each in own_parameters(operator) if each.default is each.empty}
    return operator(task_id="t", **{**{name: SAMPLES.get(name, "x") for name in required}, **arguments})


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_parameter_has_a_kind_and_an_attribute(operator: type) -> None:
    assert issubclass(operator, ReadsArguments)
    task = made(operator)
    for parameter in own_parameters(operator):
        kind_of(str(parameter.annotation))
    checked = checked_parameters(operator)
    assert set(checked) <= set(vars(task))
    simple = {"bool", "int", "float", "str"}
    names = {each.name for each in checked.values()}
    assert {
        each.name for each in own_parameters(operator) if str(each.annotation).removesuffix(" | None") in simple
    } <= names


NUMBERS = [
    (operator, parameter)
    for operator in OPERATORS
    for parameter in checked_parameters(operator).values()
    if parameter.kind.read in (read_whole, read_number)
]
FLAGS = [
    (operator, parameter)
    for operator in OPERATORS
    for parameter in checked_parameters(operator).values()
    if parameter.kind.read is read_flag
]


def test_there_are_many_numbers_and_booleans() -> None:
    assert len(NUMBERS) > 200
    assert len(FLAGS) > 30


@pytest.mark.parametrize(("operator", "parameter"), NUMBERS)
def test_a_number_is_read_from_its_text_or_refused(operator: Any, parameter: Any) -> None:
    task = made(operator, **{parameter.name: " 8 "})
    assert getattr(task, parameter.attribute) == 8
    wrong: Any
    for wrong in ("None", "", "many", "nan", "inf", math.nan, math.inf, True, "True", [8], {}, "{{ params.x }}"):
        with pytest.raises(ValueError, match=rf"^{parameter.name} is .*; it must be a (whole )?number"):
            made(operator, **{parameter.name: wrong})
    if not parameter.optional:
        with pytest.raises(ValueError, match=f"^{parameter.name} is None"):
            made(operator, **{parameter.name: None})


@pytest.mark.parametrize(("operator", "parameter"), FLAGS)
def test_a_boolean_is_read_from_its_text_or_refused(operator: Any, parameter: Any) -> None:
    for text, value in (("False", False), ("false", False), ("0", False), (0, False), ("True", True), (1, True)):
        task = made(operator, **{parameter.name: text})
        task.read_arguments()
        assert getattr(task, parameter.attribute) is value
    wrong: Any
    for wrong in ("maybe", 2, "None", [True], {}):
        with pytest.raises(ValueError, match=rf"^{parameter.name} is .*; it must be true or false"):
            made(operator, **{parameter.name: wrong}).read_arguments()


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_text_that_became_another_object_is_refused(operator: Any) -> None:
    texts = [each for each in checked_parameters(operator).values() if each.kind is KINDS["str"]]
    assert texts
    for parameter in texts:
        task = made(operator)
        setattr(task, parameter.attribute, 1001)
        task.read_arguments()
        assert getattr(task, parameter.attribute) == "1001"
        for wrong in (1e5, True, ["a"], {"a": 1}, {1}):
            setattr(task, parameter.attribute, wrong)
            with pytest.raises(ValueError, match=rf"(?s)^{parameter.name} is .*; it must be a text.*Nothing was sent"):
                task.read_arguments()


def test_a_number_below_0_is_refused_before_anything_is_sent(connection: Emulator) -> None:
    with pytest.raises(ValueError, match="defer_above is -1; it must be 0 or more"):
        ProvisionTenantDashboardsOperator(task_id="t", **TABLE, spec={}, defer_above=-1).execute({})
    with pytest.raises(ValueError, match="max_transient_failures is -1; it must be 0 or more"):
        EmbedSensor(**EMBED, max_transient_failures=-1).poke({})
    assert not connection.control.log


def test_fail_fast_as_a_text_means_what_it_says() -> None:
    options: dict[str, Any] = {"task_id": "t", **TABLE, "spec": {}}
    assert ProvisionTenantDashboardsOperator(**options, fail_fast="False").max_failures is None
    assert ProvisionTenantDashboardsOperator(**options, fail_fast="True").max_failures == 0


def test_an_argument_that_is_set_later_is_checked_too() -> None:
    task = RemoveTenantDashboardsOperator(task_id="t", **TABLE, ledger_conn_id="w", delete="embed")
    task.max_deletions = "5"  # type: ignore[assignment] # what is tested
    assert task.max_deletions == 5
    with pytest.raises(ValueError, match=r"max_deletions is 'None' .str.; it must be a whole number or None"):
        task.max_deletions = "None"  # type: ignore[assignment] # what is tested


def rendered(task: Any, **context: Any) -> Any:
    task.render_template_fields(context)
    return task


@pytest.mark.parametrize("nothing", [None, "", "None"])
def test_a_template_that_gives_nothing_for_an_id_is_refused(connection: Emulator, nothing: Any) -> None:
    task = rendered(DeleteEmbedOperator(task_id="t", embed_id="{{ x }}"), x=nothing)
    with pytest.raises(ValueError, match=r"embed_id is .*its template or XCom gave nothing.*Nothing was sent"):
        task.execute({})
    assert not connection.control.log


def test_a_template_that_gives_nothing_for_the_password_is_refused(posthog: Emulator) -> None:
    task = rendered(SharePostHogDashboardOperator(task_id="t", dashboard_id=1, password="{{ x }}"), x=None)
    with pytest.raises(ValueError, match="password is 'None': its template"):
        task.execute({})
    assert not posthog.control.log


def test_the_value_of_a_password_is_not_in_the_message() -> None:
    task = SharePostHogDashboardOperator(task_id="t", dashboard_id=1, password=12345.5)  # type: ignore[arg-type] # tested
    with pytest.raises(ValueError, match="password is of type float; it must be a text") as caught:
        task.execute({})
    assert "12345" not in str(caught.value)


def test_a_template_that_gives_nothing_for_an_optional_text_means_that_it_is_not_given(connection: Emulator) -> None:
    task = rendered(ListEmbedsOperator(task_id="t", client_id="{{ x or '' }}"), x=None)
    task.read_arguments()
    assert not task.client_id
    assert task.execute({}) == []


def test_the_text_none_that_a_template_gives_is_refused(connection: Emulator) -> None:
    # As text it would be another client; without it, all clients.
    task = rendered(ListEmbedsOperator(task_id="t", client_id="{{ x }}"), x=None)
    with pytest.raises(ValueError, match=r"client_id is 'None': its template .* or write \{\{ \.\.\. or '' \}\}"):
        task.execute({})
    assert not connection.control.log


def test_with_native_rendering_an_expression_gives_its_object_and_all_else_its_text() -> None:
    spec = {"a": "{{ l }}", "b": "{1}", "c": ["{{ n }}", "x{{ n }}"], "d": "{{ l }}{{ n }}", "e": "'q'", "f": "{{ t }}"}
    with DAG("native", schedule=None, render_template_as_native_obj=True):
        task = ProvisionTenantDashboardsOperator(task_id="t", **TABLE, spec=spec)
        delete = DeleteEmbedOperator(task_id="d", embed_id="{{ n }}")
    rendered(task, l=[1, 2], n=7, t="1_000")
    assert task.spec == {"a": [1, 2], "b": "{1}", "c": [7, "x7"], "d": "[1, 2]7", "e": "'q'", "f": "1_000"}
    rendered(delete, n=7).read_arguments()
    assert delete.embed_id == "7"
    with (
        pytest.raises(UndefinedError, match="'missing' is undefined"),
        DAG("other", render_template_as_native_obj=True),
    ):
        rendered(DeleteEmbedOperator(task_id="d", embed_id="{{ missing }}"))


@pytest.mark.parametrize("nothing", ["", "None"])
def test_a_default_does_not_replace_what_a_template_did_not_give(nothing: str) -> None:
    options: dict[str, Any] = {"task_id": "t", **TABLE, "spec": {}, "ledger_table": "{{ x }}"}
    task = rendered(ProvisionTenantDashboardsOperator(**options), x=nothing)
    with pytest.raises(ValueError, match=f"ledger_table is '{nothing}': its template"):
        task.execute({})


@pytest.mark.parametrize("metrics", [["a", "b"], "['a', 'b']", '["a", "b"]', ("a", "b")])
def test_a_list_is_read_from_its_text(metrics: Any) -> None:
    sensor = WorkspaceMetricsSensor(task_id="t", metrics=metrics)
    sensor.read_arguments()
    assert list(sensor.metrics) == ["a", "b"]


def test_elements_that_became_numbers_are_texts_again_and_others_are_refused() -> None:
    sensor = WorkspaceMetricsSensor(task_id="t", metrics=[1001, "a"])  # type: ignore[list-item] # what is tested
    sensor.read_arguments()
    assert sensor.metrics == ["1001", "a"]
    wrong: Any
    for wrong in ([None], [1.5], 5, {"a": 1}):
        sensor.metrics = wrong
        with pytest.raises(ValueError, match=r"metrics is .*it must be a list of texts"):
            sensor.read_arguments()


@pytest.mark.parametrize("at_least", ["many", True, -1, 1.5])
def test_at_least_is_a_whole_number(connection: Emulator, at_least: Any) -> None:
    with pytest.raises(ValueError, match=r"at_least is .*it must be a whole number from 0\. Nothing was sent"):
        WorkspaceMetricsSensor(task_id="t", at_least=at_least).poke({})
    assert not connection.control.log


def test_a_literal_text_that_looks_like_nothing_is_the_users() -> None:
    task = CreateConduitWorkspaceOperator(task_id="t", ext_id="None")
    task.read_arguments()
    assert task.ext_id == "None"

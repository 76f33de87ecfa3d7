"""The example Dags that give one client a workspace, and disable it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conduit.support import Conduit
from tests.dags.conftest import Ran

CREATE, END = "conduit_client", "end_conduit_client"


def test_two_runs_leave_one_workspace_with_one_copy_and_show_no_address_or_token(
    conduit: Conduit, run_example: Callable[..., Ran], capfd: pytest.CaptureFixture[str]
) -> None:
    conduit.state.add_dashboard("Marketing")
    for _ in range(2):
        ran = run_example(CREATE)
        assert ran.state == "success"
        [workspace] = conduit.state.workspaces()
        [copy] = conduit.state.dashboards(workspace.id)
        assert (workspace.ext_id, copy.name, copy.cloned_from) == ("acme", "Sales", 1)
        assert ran.values("copy") == [copy.id]
        shown = repr(ran.xcoms) + "".join(capfd.readouterr())
        assert copy.url not in shown
        assert workspace.token not in shown


def test_the_end_dag_disables_only_the_clients_workspace(conduit: Conduit, run_example: Callable[..., Ran]) -> None:
    conduit.state.add_workspace("Acme", "acme")
    other = conduit.state.add_workspace("Globex", "globex")
    for _ in range(2):
        assert run_example(END).state == "success"
        assert [row.id for row in conduit.state.workspaces()] == [other]

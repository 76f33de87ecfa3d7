"""Problems with the rows of a tenant table, collected so that one error names them all.

All rows are read before the error is raised. It names the first ``SHOWN`` problems and counts the rest, so neither the
message nor the memory grows with the table.
"""

from __future__ import annotations

from airflow_provider_databrain.printable import printable

SHOWN = 10
"""Problems that an error names at most."""


class Problems:
    """Keeps the first problems, counts all of them, and raises one error."""

    def __init__(self) -> None:
        self.count = 0
        self._named: list[str] = []

    def add(self, problem: str) -> None:
        """Add one problem; it is one line in the message."""
        self.count += 1
        if len(self._named) < SHOWN:
            self._named.append(printable(problem))

    def add_unnamed(self, count: int) -> None:
        """Count further problems that have no text."""
        self.count += count

    def raise_if_any(self, error: type[Exception], heading: str) -> None:
        """Raise an error if there is a problem: the heading, then one line for each problem."""
        if self.count:
            rest = self.count - len(self._named)
            lines = [heading, *(f"- {problem}" for problem in self._named), *([f"and {rest} more"] if rest else [])]
            raise error("\n".join(lines))

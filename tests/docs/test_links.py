"""The links of all pages lead to a file and a heading.

Those of the README are absolute, because a package index shows it without the repository.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SOURCE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]
INLINE = re.findall(r"\]\(([^)]+)\)", README)
LABELS = re.findall(r"\]\[([^\]]+)\]", README)
DEFINED = dict(re.findall(r"^\[([^\]]+)\]: (\S+)$", README, re.MULTILINE))


def headings(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_each_link_of_the_readme_is_absolute_or_one_of_its_headings() -> None:
    targets = [*INLINE, *DEFINED.values()]
    assert len(targets) > 10
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    assert {target[1:] for target in targets if target.startswith("#")} <= headings(ROOT / "README.md")


def test_each_label_of_the_readme_is_defined_and_used() -> None:
    assert set(LABELS) == DEFINED.keys()


@pytest.mark.parametrize("url", [url for url in DEFINED.values() if url.startswith(SOURCE)])
def test_a_link_into_the_repository_leads_to_a_file_and_a_heading(url: str) -> None:
    kind, _, rest = url.removeprefix(f"{SOURCE}/").partition("/main/")
    path, _, heading = rest.partition("#")
    assert (ROOT / path).is_dir() if kind == "tree" else (ROOT / path).is_file()
    assert not heading or heading in headings(ROOT / path)

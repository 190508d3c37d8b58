"""Every example of the README and of the site runs as it stands, page by page; the gallery names all that there is."""

import re
from pathlib import Path

import pytest

from mpreg.attacks import suites
from mpreg.catalogue import DEFENCES

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [
    "../README.md",
    "index.md",
    *sorted(str(path.relative_to(DOCS)) for path in (DOCS / "how-to").glob("*.md")),
]

# Seven seconds and more.
LONG = {f"how-to/{name}.md" for name in ("defend", "guarantee", "own-model", "screen")}


def snippets(page):
    return re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def _page(page):
    return pytest.param(page, marks=pytest.mark.slow) if page in LONG else page


@pytest.mark.parametrize("page", [_page(page) for page in PAGES if snippets(page)])
def test_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for at, snippet in enumerate(snippets(page)):
        exec(compile(snippet, f"{page}, example {at + 1}", "exec"), names)


def test_every_page_is_in_the_navigation():
    shown = set(re.findall(r": ([\w/-]+\.md)", (DOCS.parent / "mkdocs.yml").read_text("utf-8")))
    assert shown == {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}


def test_the_gallery_names_every_defence_and_every_attack():
    defences = (DOCS / "gallery" / "defences.md").read_text("utf-8")
    assert not [name for name in DEFENCES if f"| `{name}` |" not in defences]
    attacks = (DOCS / "gallery" / "attacks.md").read_text("utf-8").replace(", and each `_per_class`", "")
    keys = {attack.key for name in suites.SUITES for attack in suites.suite(name)}
    assert not [key for key in keys if f"`{key.removesuffix('_per_class')}`" not in attacks]

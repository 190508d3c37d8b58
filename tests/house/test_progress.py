"""Bars: quiet in files, on a terminal rich's, in a notebook HTML that is drawn again in its place."""

import html
import re
import sys
import types

import pytest

from mpreg import progress
from mpreg.progress import progress_bar


@pytest.fixture
def drawn(monkeypatch):
    """What a notebook shows, one entry each time that something is drawn."""
    shown = []

    class Handle:
        def update(self, bar):
            shown.append(bar._repr_html_())

    def display(bar, *, display_id):
        assert display_id
        shown.append(bar._repr_html_())
        return Handle()

    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    monkeypatch.setattr(progress, "Console", lambda file: types.SimpleNamespace(is_jupyter=True))
    return shown


def counts(shown):
    return [int(re.search(r'value="(\d+)"', each)[1]) for each in shown]


def test_a_notebook_sees_each_step_and_its_note_as_text(drawn):
    with progress_bar("<training>", 4) as advance:
        advance("one & two")
        advance(steps=2)
    assert counts(drawn) == [0, 1, 3, 3] and all('max="4"' in each for each in drawn)
    assert "one &amp; two" in drawn[1] and "&lt;training&gt;" in drawn[1]
    assert re.search(r"1/4 \d+:\d\d left", drawn[1]) and "left" not in drawn[0]


def test_a_bar_within_another_is_not_drawn_and_the_next_one_is(drawn):
    with progress_bar("outer", 1) as outer, progress_bar("inner", 1) as inner:
        inner()
        outer()
    assert counts(drawn) == [0, 1, 1] and not any("inner" in each for each in drawn)
    with pytest.raises(KeyError), progress_bar("failing", 1):
        raise KeyError
    with progress_bar("after", 1):
        pass
    assert "after" in drawn[-1]


def test_what_is_hidden_is_not_drawn(drawn):
    with progress_bar("hidden", 1, hidden=True) as advance:
        advance()
    assert drawn == []


def test_a_notebook_that_shows_text_alone_reads_it(drawn):
    bar = progress._NotebookBar("attacking", 2)
    assert repr(bar) == "attacking 0/2" and html.unescape(bar._repr_html_()).startswith("<label>attacking")

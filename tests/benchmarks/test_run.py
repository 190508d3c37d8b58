"""The one command of all benchmarks: what it asks for is there, bars are judged with their noise, load is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("tomllib")  # from Python 3.11 on

from benchmarks import check, figures, run

CONFIG = figures.read_config()


def made_up(benchmark):
    """A result with all that the configuration asks for: `of` takes twice as long as `to`."""
    result = {"machine": {"cores": 2, "processor": "any", "load_average": 0.0}}
    for asked in benchmark["figure"]:
        table = result
        for key in asked["table"]:
            table = table.setdefault(key, {})
        for way, seconds in ((asked["of"].replace("*", "other"), 2.0), (asked.get("to"), 1.0)):
            if way:
                table[way] = {"wall": [seconds] * 3, "processor": [seconds] * 3}
    return result


@pytest.mark.parametrize("benchmark", CONFIG["benchmark"], ids=lambda benchmark: benchmark["name"])
def test_scripts_hold_what_the_configuration_names(benchmark):
    text = (figures.FOLDER / benchmark["script"]).read_text("utf-8")
    for asked in benchmark["figure"]:
        for key in (
            *asked["table"][:1],
            *(way for way in (asked["of"], asked.get("to")) if way not in (None, "*")),
        ):
            assert key in text
    for figure in figures.figures_of(benchmark, made_up(benchmark)):
        assert figure.value == 2.0 and figure.rounds == 3


def test_a_way_that_is_missing_is_named():
    benchmark = CONFIG["benchmark"][0]
    result = made_up(benchmark)
    del result["seconds_per_batch"]["plain fit"]
    with pytest.raises(ValueError, match="plain fit"):
        figures.figures_of(benchmark, result)


def test_a_figure_falls_behind_only_beyond_its_noise():
    def figure(**more):
        return figures.Figure("a", "b", "c", "wall", 1.5, 1.3, 1.7, 9, **more)

    assert not figure().behind and figure().bar == "-"
    assert not figure(at_most=1.4).behind and figure(at_most=1.2).behind
    assert not figure(at_least=1.6).behind and figure(at_least=1.8).behind


def test_the_interval_of_a_median_covers_it():
    rng, runs = np.random.default_rng(0), 400
    intervals = [figures.median_interval(rng.exponential(size=9)) for _ in range(runs)]
    missed = sum(not low <= np.log(2) <= high for low, high in intervals)
    assert missed <= stats.binom.ppf(0.999, runs, 0.05)
    assert figures.median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("RESULTS", "TEXT", "CHART"):
        monkeypatch.setattr(figures, name, tmp_path / Path(getattr(figures, name)).name)
    monkeypatch.setattr(run, "run_script", lambda benchmark, options: made_up(benchmark))
    return tmp_path


def test_results_are_published_from_a_quiet_machine_alone(folder, monkeypatch, capsys):
    monkeypatch.setattr("os.getloadavg", lambda: (5.0, 5.0, 5.0))
    assert run.main([]) == 1 and not list(folder.iterdir())
    assert "load average is 5.0" in capsys.readouterr().err
    monkeypatch.setattr("os.getloadavg", lambda: (0.1, 0.1, 0.1))
    assert run.main(["min-max"]) == 0 and run.main(["starts"]) == 0
    assert list(json.loads(figures.RESULTS.read_text())) == ["min-max", "starts"]  # others keep their figures
    page = figures.TEXT.read_text()
    assert (
        "| the same as a callback | 2 |" in page and "at most 1.45" in page and figures.CHART.stat().st_size
    )
    assert check.main(figures.RESULTS) == 1 and "BEHIND" in capsys.readouterr().out


def test_quick_runs_publish_nothing_and_unknown_names_are_refused(folder, capsys):
    assert run.main(["--quick"]) == 0 and not list(folder.iterdir())
    with pytest.raises(SystemExit):
        run.main(["min-mx"])
    assert "no benchmark is named 'min-mx'" in capsys.readouterr().err
    assert check.main(figures.RESULTS) == 2

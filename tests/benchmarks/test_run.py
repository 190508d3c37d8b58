"""The one command of all benchmarks: what it asks for is there, bars are judged with their noise, a busy machine is
refused, and peers that are missing are named.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("tomllib")  # from Python 3.11 on

from benchmarks import check, environments, figures, quiet, run
from benchmarks.text import write_results

CONFIG = figures.read_config()


def made_up(benchmark):
    """A result with all that the configuration asks for: `of` takes twice as long as `to`."""
    result = {"machine": {"cores": 2, "processor": "any"}}
    for asked in benchmark["figure"]:
        table = result
        for key in asked["table"]:
            table = table.setdefault(key, {})
        for way, seconds in ((asked["of"].replace("*", "other"), 2.0), (asked.get("to"), 1.0)):
            if way:
                table[way] = {clock: [seconds] * 3 for clock in ("wall", "processor", "peak")}
    return result


@pytest.mark.parametrize("benchmark", CONFIG["benchmark"], ids=lambda benchmark: benchmark["name"])
def test_scripts_hold_what_the_configuration_names(benchmark):
    script = figures.FOLDER / benchmark["script"]
    peers = script.with_name(f"{script.stem}_peers.py")
    text = "".join(path.read_text("utf-8") for path in (script, peers) if path.exists())
    for asked in benchmark["figure"]:
        for key in (
            *asked["table"][:1],
            *(way for way in (asked["of"], asked.get("to")) if way not in (None, "*")),
        ):
            assert key in text
        alone = {**benchmark, "figure": [asked]}  # a way may be set against another, and be another's measure
        (figure,) = figures.figures_of(alone, made_up(alone))
        assert figure.value == 2.0 and figure.rounds == 3
    for name in benchmark.get("peers", []):
        assert CONFIG["peer"][name]["packages"] and f'"{name}"' in text


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


def others(monkeypatch, share):
    monkeypatch.setattr(quiet.Others, "share", lambda self: share)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("RESULTS", "TEXT", "CHART", "GROWTH"):
        monkeypatch.setattr(figures, name, tmp_path / Path(getattr(figures, name)).name)
    monkeypatch.setattr(run, "run_script", lambda benchmark, options, peers: made_up(benchmark))
    monkeypatch.setattr(quiet, "GLANCE", 0.0)
    monkeypatch.setattr(quiet, "PATIENCE", 0.0)
    others(monkeypatch, 0.01)
    return tmp_path


def test_results_are_published_from_a_quiet_machine_alone(folder, monkeypatch, capsys):
    others(monkeypatch, 0.5)
    assert run.main([]) == 1 and not list(folder.iterdir())
    assert "other work takes 50% of the processors' time" in capsys.readouterr().err
    others(monkeypatch, None)
    assert run.main([]) == 1 and not list(folder.iterdir())
    assert "does not tell how busy it is" in capsys.readouterr().err
    others(monkeypatch, 0.02)
    assert run.main(["starts"]) == 0 and run.main(["min-max"]) == 0
    assert list(json.loads(figures.RESULTS.read_text())) == ["min-max", "starts"]  # others keep their figures
    page = figures.TEXT.read_text()
    assert (
        "| the same as a callback | 2 |" in page and "at most 1.45" in page and figures.CHART.stat().st_size
    )
    assert "other work took 2% before, 2% meanwhile" in page
    assert check.main(figures.RESULTS) == 1 and "BEHIND" in capsys.readouterr().out


def test_quick_runs_publish_nothing_and_unknown_names_are_refused(folder, capsys):
    assert run.main(["--quick"]) == 0 and not list(folder.iterdir())
    with pytest.raises(SystemExit):
        run.main(["min-mx"])
    assert "no benchmark is named 'min-mx'" in capsys.readouterr().err
    assert check.main(figures.RESULTS) == 2


def test_the_share_of_others_leaves_out_what_is_ours(tmp_path, monkeypatch):
    """Of two cores in 4 s others take 1 s, this process 2 s, and 5 s are idle or waiting."""
    monkeypatch.setattr(quiet, "STAT", tmp_path / "stat")
    monkeypatch.setattr("os.sysconf", lambda name: 10)
    monkeypatch.setattr("os.times", lambda: (1.0, 0.0, 0.0, 0.0, 9.0))
    quiet.STAT.write_text("cpu  100 0 50 400 20 0 5 0 0 0\ncpu0 1 2 3\n")
    looked = quiet.Others()
    quiet.STAT.write_text("cpu  115 0 55 440 30 4 6 5 0 0\ncpu0 1 2 3\n")
    monkeypatch.setattr("os.times", lambda: (2.0, 0.5, 0.3, 0.2, 13.0))
    assert looked.share() == pytest.approx(1 / 8)
    monkeypatch.setattr(quiet, "STAT", tmp_path / "none")
    assert quiet.Others().share() is None


def test_it_waits_until_others_have_ended(monkeypatch):
    shares = iter([0.9, 0.3, 0.05])
    monkeypatch.setattr(quiet, "GLANCE", 0.0)
    monkeypatch.setattr(quiet.Others, "share", lambda self: next(shares))
    assert quiet.wait_until_quiet(0.1) == 0.05


def test_a_benchmark_that_fails_does_not_keep_the_others_from_being_published(folder, monkeypatch, capsys):
    done = run.run_script
    monkeypatch.setattr(
        run, "run_script", lambda each, *given: None if each["name"] == "min-max" else done(each, *given)
    )
    assert run.main(["min-max", "starts"]) == 1
    assert list(json.loads(figures.RESULTS.read_text())) == ["starts"]
    assert "failed, and nothing of them is published: min-max" in capsys.readouterr().err


def test_peers_are_named_with_why_they_were_not_timed(folder, monkeypatch):
    benchmark = {"name": "any", "peers": ["one", "two", "three", "four"]}
    result = {
        "peers": {
            "one": {"versions": {"One": "1.0"}, "failed": None},
            "two": {"versions": {}, "failed": "so"},
        }
    }
    peers = {name: Path(name) for name in ("one", "two")} | {
        "three": environments.NoPeerError("no such version")
    }
    assert run.said_of_peers(benchmark, result, peers) == {
        "one": "One 1.0",
        "two": "cannot be run: so",
        "three": "cannot be installed: no such version",
        "four": "was not timed: the run was without --peers",
    }
    assert run.main(["dp-sgd"]) == 0
    assert "- opacus: was not timed: the run was without --peers" in figures.TEXT.read_text()
    asked = next(each for each in CONFIG["benchmark"] if each["name"] == "dp-sgd")
    result = made_up(asked)
    for table in result["seconds_per_batch"].values():
        table.pop("Opacus, ghost")
    titles = [figure.title for figure in figures.figures_of(asked, result)]
    assert "jax-privacy, tanh network" in titles and not any("ghost" in title for title in titles)


def test_an_environment_is_made_once_and_not_left_half_made(tmp_path, monkeypatch):
    made = []

    def create(home, with_pip):
        made.append(home.name)
        home.mkdir(parents=True)

    def pip(command, **options):
        if "absent" in command:
            error = "some warning\nERROR: no matching distribution\n"
            raise environments.subprocess.CalledProcessError(1, command, stderr=error)

    monkeypatch.setattr(environments, "HOME", tmp_path / "peers")
    monkeypatch.setattr(environments.venv, "create", create)
    monkeypatch.setattr(environments.subprocess, "run", pip)
    with pytest.raises(environments.NoPeerError, match="^no matching distribution$"):
        environments.python_of("one", ["absent"])
    assert not (tmp_path / "peers" / "one").exists()
    for packages in (["there"], ["there"], ["there", "more"]):
        assert environments.python_of("one", packages) == tmp_path / "peers" / "one" / "bin" / "python"
    assert made == ["one"] * 3  # the failure, the first, and that of other packages


def test_growth_is_drawn_beside_its_figures(tmp_path):
    sizes, names = [10, 100, 1000], ("attack", "suite")
    curves = [
        {"name": name, "by": by, "sizes": sizes, "seconds": {"wall": [[0.1, 1.0, 10.0]] * 2}}
        for by in ("records", "classes", "replicas")
        for name in names
    ]
    machine = {"cores": 2, "processor": "any", "others_before": 0.0, "others_meanwhile": None}
    one = {"machine": machine, "commit": "a", "date": "b", "peers": {}, "curves": curves, "figures": []}
    one["areas"] = {"ours": [0.7, 0.6], "theirs": [0.65]}
    paths = [tmp_path / name for name in ("page.md", "chart.png", "growth.png")]
    write_results({"growth": one}, *paths)
    assert "ours 0.700, theirs 0.650." in paths[0].read_text()
    assert "![Seconds by size](growth.png)" in paths[0].read_text() and all(
        path.stat().st_size for path in paths
    )


@pytest.mark.parametrize("page", ["README.md", "docs/tour.md"])
def test_the_pages_say_what_was_published(page):
    """Each row of the cost tables is a figure of `results.json`, to the digits that are shown."""
    published = json.loads(figures.RESULTS.read_text("utf-8"))
    known = {fields["title"]: fields for one in published.values() for fields in one["figures"]}
    _, _, section = (figures.FOLDER.parent / page).read_text("utf-8").partition("## What it costs\n")
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in section.partition("\n## ")[0].splitlines()
        if line.startswith("| ")
    ][2:]
    assert len(rows) > 5
    for title, figure, interval, unit, clock in rows:
        found = known[title]
        shown = f"{found['low']:.3g} to {found['high']:.3g}" if found["rounds"] > 1 else "one round"
        assert (figure, interval, unit, clock) == (
            f"{found['value']:.3g}",
            shown,
            found["unit"],
            found["clock"],
        )


def test_the_published_bars_are_those_of_the_configuration():
    published = json.loads(figures.RESULTS.read_text("utf-8"))
    bars = {
        (one["name"], asked["title"]): (asked.get("at_most"), asked.get("at_least"))
        for one in CONFIG["benchmark"]
        for asked in one["figure"]
    }
    for name, one in published.items():
        for fields in one["figures"]:
            title = fields["title"].partition(": ")[0]
            asked = bars.get((name, fields["title"]), bars.get((name, title)))
            assert asked == (fields["at_most"], fields["at_least"]), fields["title"]

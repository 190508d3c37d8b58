"""The frontier: which points are on it, a sweep that goes on where it stopped, and what it writes."""

import dataclasses
import functools
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import mpreg
from mpreg.catalogue import DEFENCES, SETTINGS
from mpreg.catalogue.settings import DIGITS
from mpreg.cli import main
from mpreg.metrics import Estimate
from mpreg.recipes.studies import frontier

STRENGTHS = DEFENCES["l2"].strengths


def point(test, attack, *, defence="l2", strength=1.0, reference=None):
    def sure(value):
        return Estimate(value, max(value - 0.02, 0), min(value + 0.02, 1))

    return frontier.Point(
        defence=defence,
        strength=strength,
        train_accuracy=sure(0.9),
        test_accuracy=sure(test),
        attack_accuracy=sure(attack),
        strongest_attack="gap",
        tpr=sure(0.1),
        auc=sure(0.6),
        reference=reference and sure(reference),
    )


class TestTheFrontier:
    @pytest.mark.parametrize("seed", range(5))
    def test_it_is_the_points_that_no_other_beats(self, seed):
        rng = np.random.default_rng(seed)
        places = rng.integers(0, 8, (40, 2)) / 8  # on a grid, so that many tie
        points = [point(*place) for place in places]
        useful = places[:, 0].max() / 2  # what is below has collapsed
        unbeaten = [
            own[0] >= useful
            and not any(
                other[0] >= own[0] and other[1] <= own[1] and tuple(other) != tuple(own) for other in places
            )
            for own in places
        ]
        found = frontier.frontier_of(points)
        assert {id(each) for each in found} == {
            id(each) for each, best in zip(points, unbeaten, strict=True) if best
        }
        assert [each.place[0] for each in found] == sorted(each.place[0] for each in found)

    def test_one_point_is_the_frontier(self):
        alone = point(0.5, 0.6)
        assert frontier.frontier_of([alone]) == [alone]

    def test_its_points_are_marked_in_the_table(self):
        points = [point(0.6, 0.9), point(0.5, 0.7), point(0.4, 0.8, defence="top-k", strength=None)]
        header, rows = frontier.rows_of(points)
        assert [row[header.index("frontier")] for row in rows] == ["●", "●", ""]
        assert [row[:2] for row in rows] == [["l2", "1"], ["l2", "1"], ["top-k", "-"]]
        assert "attack on reference" not in header

    def test_the_attack_on_reference_records_is_a_column_where_there_is_one(self):
        header, rows = frontier.rows_of([point(0.6, 0.9), point(0.5, 0.7, reference=0.55)])
        column = header.index("attack on reference")
        assert [row[column] for row in rows] == ["-", "55.0 % [53.0, 57.0]"]
        assert all(len(row) == len(header) for row in rows)


class TestTheChoice:
    """Least given away among those that cost at most three points; what overlaps with it is a tie."""

    def test_figures_that_lie_apart_make_a_choice(self):
        points = [
            point(0.6, 0.9, defence="undefended", strength=None),
            point(0.59, 0.7),
            point(0.4, 0.5, strength=8.0),
        ]
        found = frontier.choice_of(points)
        assert (found.name, found.tied, found.is_tie) == ("l2 1", (), False)
        assert str(found) == "Chosen: l2 1 has the lowest attack accuracy, 70.0 % [68.0, 72.0]."

    def test_figures_that_overlap_make_a_tie_and_the_cheapest_is_named(self):
        plain = point(0.6, 0.63, defence="undefended", strength=None)
        found = frontier.choice_of([plain, point(0.58, 0.6), point(0.59, 0.61, strength=2.0)])
        assert (found.name, found.tied, found.cheapest) == ("l2 1", ("undefended", "l2 2"), "undefended")
        assert str(found).startswith("No choice: l2 1 has the lowest") and "Chosen" not in str(found)
        assert "do not tell it from undefended, l2 2:" in str(found) and str(found).endswith(
            "cheapest is undefended."
        )
        assert found.to_dict()["tie"] is True and found.to_dict()["name"] == "l2 1"

    def test_what_reference_records_leak_counts(self):
        points = [
            point(0.6, 0.9, defence="undefended", strength=None),
            point(0.6, 0.55, reference=0.85),
            point(0.6, 0.7, strength=2.0),
        ]
        assert frontier.choice_of(points).name == "l2 2"
        assert frontier.frontier_of(points) == [points[2]]


@pytest.mark.parametrize(
    ("points", "expected"),
    [(1, (16,)), (2, (1, 16)), (3, (1, 4, 16)), (5, (1, 2, 4, 8, 16)), (9, (1, 2, 4, 8, 16))],
)
def test_strengths_are_spread_from_the_weakest_to_the_strongest(points, expected):
    assert frontier.spread((1, 2, 4, 8, 16), points) == expected
    assert frontier.spread((), points) == (None,)


class TestASweep:
    """The strongest L2 alone; then two strengths, in the same folder."""

    @pytest.fixture(scope="class")
    @classmethod
    def sweep(cls, tmp_path_factory):
        out = tmp_path_factory.mktemp("frontier")
        tiny = DIGITS.replace(
            members=60, reference=60, nonmembers=60, network="tanh_mlp", epochs=2, batch_size=32
        )
        trained = []

        def counted(own, *args, strength=None, **kwargs):
            trained.append((own.name, strength))
            return train(own, *args, strength=strength, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(SETTINGS, "digits", tiny)
            train = type(DEFENCES["l2"]).train
            patch.setattr(type(DEFENCES["l2"]), "train", counted)
            patch.setattr(mpreg, "evaluate", functools.partial(mpreg.evaluate, attacks="fast"))
            frontier.run("l2", dataset="digits", suite="standard", points=1, out=out)
            first, trained[:] = list(trained), []
            runs = out / "runs" / "digits_sweep_seed0"
            stopped = runs / f"l2_{STRENGTHS[0]:g}" / "train" / "events.stopped"
            stopped.parent.mkdir(parents=True)
            stopped.touch()
            points = frontier.run("l2", dataset="digits", suite="standard", points=2, out=out)
        return points, out, first, trained, runs

    def test_what_is_there_is_not_trained_again(self, sweep):
        points, _, first, second, _ = sweep
        assert first == [("undefended", None), ("l2", STRENGTHS[-1])]
        assert second == [("l2", STRENGTHS[0])]
        assert [(each.defence, each.strength) for each in points] == [
            ("undefended", None),
            ("l2", STRENGTHS[0]),
            ("l2", STRENGTHS[-1]),
        ]

    def test_logs_of_a_training_that_was_stopped_are_gone(self, sweep):
        *_, runs = sweep
        assert not list(runs.rglob("events.stopped"))
        assert not list(runs.rglob("unfinished.json"))

    def test_every_point_has_its_runs(self, sweep):
        points, *_, runs = sweep
        folders = sorted(path.name for path in runs.iterdir())
        assert folders == sorted(["undefended", f"l2_{STRENGTHS[0]:g}", f"l2_{STRENGTHS[-1]:g}"])
        for each, folder in zip(
            points, ("undefended", *(f"l2_{s:g}" for s in (STRENGTHS[0], STRENGTHS[-1]))), strict=True
        ):
            assert {path.name for path in (runs / folder).iterdir()} == {
                "train",
                "privacy",
                "report",
                "report.json",
            }
            found = EventAccumulator(str(runs / folder / "report")).Reload()
            (event,) = found.Tensors("report/attack_accuracy")
            assert event.tensor_proto.float_val[0] == pytest.approx(each.attack_accuracy)

    def test_the_points_are_those_of_the_reports(self, sweep):
        points, *_, runs = sweep
        report = json.loads((runs / "undefended" / "report.json").read_text("utf-8"))
        assert points[0].attack_accuracy == report["attack_accuracy"]["value"]
        assert points[0].attack_accuracy.high == report["attack_accuracy"]["high"]
        assert points[0].tpr == report["attacks"][points[0].strongest_attack]["tpr_at_fpr"]["0.01"]["value"]
        assert points[0].reference is None

    def test_it_writes_figures_table_and_picture(self, sweep):
        points, out, *_ = sweep
        saved = json.loads((out / "frontier.json").read_text("utf-8"))
        assert saved["schema"] == "mpreg.frontier/1" and saved["choice"] is None  # judged, not chosen by
        best = frontier.frontier_of(points)
        assert [each["on_frontier"] for each in saved["points"]] == [each in best for each in points]
        assert saved["points"][1]["test_accuracy"]["value"] == points[1].test_accuracy
        text = (out / "frontier.md").read_text("utf-8")
        assert f"| l2 | {STRENGTHS[0]:g} |" in text and text.count("●") == 1 + len(best)
        assert (out / "frontier.png").read_bytes().startswith(b"\x89PNG")


def test_a_broken_classifier_does_not_press_the_others_together(tmp_path):
    """One that guesses is left out of the picture, which says so."""
    points = [point(0.6, 0.9, defence="undefended", strength=None), point(0.5, 0.7), point(0.03, 0.5)]
    drawn = []

    def keep(figure, path, **_):
        drawn.append(figure)
        path.touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", keep)
        frontier.plot(points, tmp_path / "frontier.png", title="digits")
        frontier.plot(points[:2], tmp_path / "frontier.png", title="digits")
    first, second = (figure.axes[0] for figure in drawn)
    assert first.get_xlim() == second.get_xlim() and 0.4 < first.get_xlim()[0] < 0.5
    assert first.get_title() == "digits (1 below 30 % test accuracy not shown)"
    assert second.get_title() == "digits"
    assert {line.get_label() for line in second.containers} == {"undefended", "l2"}


def test_a_point_with_a_reference_reads_it(tmp_path):
    rate = {"value": 0.6, "low": 0.5, "high": 0.7}
    other = {"value": 0.55, "low": 0.5, "high": 0.6}
    report = {
        **dict.fromkeys(("train_accuracy", "test_accuracy", "attack_accuracy"), rate),
        "strongest_attack": "gap",
        "attacks": {"gap": {"tpr_at_fpr": {"0.01": rate}, "auc": rate}},
        "reference": {"attack_accuracy": other},
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    cell = frontier.Cell("digits", "advreg", strength=2.0)
    found = frontier.Point.read(cell, tmp_path / "report.json")
    assert (found.reference, found.reference.high) == (0.55, 0.6)
    assert found.to_dict()["reference"] == other
    assert dataclasses.replace(found, reference=None).to_dict()["reference"] is None


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        (["--defences", "l2,magic"], "defences must be of undefended, .*Received: magic"),
        (["--points", "0"], "0 is not in the range"),
        (["--dataset", "mars"], "'mars' is not one of"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, quoted):
    done = CliRunner().invoke(main, ["recipe", "frontier", *arguments])
    assert done.exit_code == 2
    assert re.search(quoted, " ".join(done.output.split()))


def test_no_points_are_quoted():
    with pytest.raises(ValueError, match="points must be .*points=0"):
        frontier.run("l2", points=0)


def test_a_report_of_another_defence_is_made_anew(tmp_path, monkeypatch, capsys):
    """With what it says of itself kept beside its figures."""
    rate = {"value": 0.6, "low": 0.5, "high": 0.7}
    figures = {
        **dict.fromkeys(("train_accuracy", "test_accuracy", "attack_accuracy"), rate),
        "strongest_attack": "gap",
        "attacks": {"gap": {"tpr_at_fpr": {"0.01": rate}, "auc": rate}},
    }
    trained = []

    class Report:
        def to_dict(self):
            return figures

    monkeypatch.setattr(frontier, "_train_and_attack", lambda *_: trained.append(1) or Report())
    cell = frontier.Cell("digits", "l2", strength=0.5)
    first, again = (frontier.make(cell, None, None, tmp_path) for _ in range(2))
    assert first == again and len(trained) == 1
    monkeypatch.setitem(DEFENCES, "l2", dataclasses.replace(DEFENCES["l2"], build=lambda task, _: None))
    assert frontier.make(cell, None, None, tmp_path) == first and len(trained) == 2
    assert "is made anew: its defence, setting or attacks have changed." in capsys.readouterr().out
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["digest"] == cell.stamp()["digest"]


def test_a_sweep_by_validation_tells_its_choice(tmp_path):
    points = [point(0.6, 0.62, defence="undefended", strength=None), point(0.59, 0.6)]
    choice = frontier.choice_of(points)
    frontier.write(points, tmp_path, title="digits", notes=[str(choice)], choice=choice)
    saved = json.loads((tmp_path / "frontier.json").read_text("utf-8"))["choice"]
    assert saved == {
        "name": "l2 1",
        "attack_accuracy": points[1].attack_accuracy.to_dict(),
        "tie": True,
        "tied": ["undefended"],
        "cheapest": "undefended",
    }
    assert "do not tell it from undefended" in (tmp_path / "frontier.md").read_text("utf-8")

"""`protect`: what it takes, that it says so where nothing meets the goal, what it writes, and that it goes on."""

import csv
import dataclasses
import importlib
import json
import runpy
import subprocess
import sys

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from support.registries import forgetting

import mpreg
from mpreg.cli import main
from mpreg.metrics import Estimate
from mpreg.protection import Goal, attacker, search, trials
from mpreg.protection.attacker import MIN_SHADOWS
from mpreg.protection.goal import Rung
from mpreg.protection.search import climb
from mpreg.protection.trials import Trial, named
from mpreg.recipes.studies.frontier import Point

protect = importlib.import_module("mpreg.protection.protect")  # the package has the function under this name


@pytest.fixture(autouse=True)
def registries():
    with forgetting():
        yield


def trial(defence, strength, test, attack, *, seconds=1.0, reference=None):
    """A `Trial` with these figures, certain to a hair."""

    def sure(value):
        return None if value is None else Estimate(value, value, value)

    point = Point(
        defence=defence,
        strength=strength,
        train_accuracy=sure(1.0),
        test_accuracy=sure(test),
        attack_accuracy=sure(attack),
        strongest_attack="gap",
        tpr=sure(0.0),
        auc=sure(0.5),
        reference=sure(reference),
    )
    return Trial(defence, strength, point, seconds)


@pytest.mark.parametrize("size", [10, 100, 240, 500, 760, 900])
def test_few_shadow_models_too_are_trained_on_some_and_not_on_all_of_what_they_judge(size):
    most = attacker.membership_of(1000, size, attacker.MAX_SHADOWS, seed=1)
    for count in range(MIN_SHADOWS, attacker.MAX_SHADOWS + 1):
        drawn = attacker.membership_of(1000, size, count, seed=1)
        np.testing.assert_array_equal(drawn, most[:count])  # those that are there serve again
        assert drawn.sum(axis=0).min() > 0 and drawn.sum(axis=0).max() < count


@pytest.fixture
def figures(monkeypatch):
    """Figures of trainings by name, in place of trainings; the names in the order in which they were asked for."""
    known, asked = {"undefended": (0.80, 0.90)}, []

    def tried(job, defence, strength):
        asked.append(named(defence, strength))
        test, attack, *more = known.get(asked[-1], (0.80, 0.90))
        return trial(
            defence, strength, test, attack, **dict(zip(("seconds", "reference"), more, strict=False))
        )

    def checked(job, trial, count, *, told):
        """As it was without shadow models, but for what stands under its name and a plus."""
        attack = known.get(f"{trial.name}+", (trial.attack,))[0]
        found = tried(job, trial.defence, trial.strength)
        point = dataclasses.replace(found.point, attack_accuracy=Estimate(attack, attack, attack))
        asked[-1] += "+"
        return dataclasses.replace(found, point=point, adaptive=count, shadow_seconds=count * trial.seconds)

    monkeypatch.setattr(search, "tried", tried)
    monkeypatch.setattr(search, "checked", checked)
    return known, asked


class TestSearch:
    def test_it_stops_at_the_first_that_meets_the_goal(self, figures):
        known, asked = figures
        known |= {"l2 0.003": (0.79, 0.58), "l2 0.01": (0.80, 0.51), "advreg 1.5": (0.80, 0.50)}
        found = climb(None, Goal(max_attack=0.60, max_loss=0.02))
        assert found.taken.name == "l2 0.003" and found.met
        assert asked == [
            "undefended",
            "early-stopping",
            "early-stopping 0.4",
            "early-stopping 0.15",
            "l2 0.001",
            "l2 0.003",
            "l2 0.003+",
        ]

    def test_one_that_needs_no_defence_gets_none(self, figures):
        known, asked = figures
        known["undefended"] = (0.80, 0.55)
        found = climb(None, Goal())
        assert found.taken.defence == "undefended" and found.taken.adaptive == MIN_SHADOWS
        assert asked == ["undefended", "undefended+"]

    def test_what_shadow_models_see_through_is_passed_over(self, figures):
        known, asked = figures
        known |= {"undefended": (0.80, 0.55), "undefended+": (0.70,), "early-stopping": (0.80, 0.54)}
        found = climb(None, Goal(max_attack=0.60))
        assert found.taken.name == "early-stopping" and found.met
        assert asked == ["undefended", "undefended+", "early-stopping", "early-stopping+"]

    def test_the_nearest_is_told_by_shadow_models_too(self, figures):
        known, _ = figures
        known |= {"l2 0.01": (0.80, 0.62), "l2 0.01+": (0.88,), "l2 0.003": (0.80, 0.64)}
        found = climb(None, Goal(max_attack=0.60, budget=100))
        assert found.taken.name == "l2 0.003" and found.taken.adaptive and not found.met

    def test_a_budget_without_room_for_shadow_models_takes_what_the_standard_attacks_say(self, figures):
        known, asked = figures
        known["undefended"] = (0.80, 0.55)
        assert not climb(None, Goal(budget=3)).taken.adaptive and asked == ["undefended"]

    def test_the_nearest_is_taken_where_none_meets_the_goal(self, figures):
        known, _ = figures
        known |= {"l2 0.01": (0.60, 0.55), "advreg 3": (0.79, 0.66)}  # 18 points too dear; 6 points too leaky
        found = climb(None, Goal(max_attack=0.60, max_loss=0.02, budget=100))
        assert found.taken.name == "advreg 3" and not found.met and not found.skipped
        assert found.excess(found.taken) == pytest.approx(0.06)

    def test_what_the_reference_records_leak_counts(self, figures):
        known, asked = figures
        known["early-stopping"] = (0.80, 0.52, 1.0, 0.70)
        assert not climb(None, Goal()).met and "advreg 1.5" in asked

    def test_the_budget_is_kept_and_what_it_left_out_is_told(self, figures):
        known, asked = figures
        known |= dict.fromkeys(["early-stopping", "early-stopping 0.4"], (0.8, 0.9, 2.0))
        found = climb(None, Goal(budget=10))
        assert found.spent <= 6 and "selena-copies" in found.skipped and "selena-copies 10" not in asked

    def test_a_standard_error_is_added_for_the_choice(self):
        one = trial("l2", None, 0.8, 0.6)
        wide = Point(**{**vars(one.point), "attack_accuracy": Estimate(0.6, 0.56, 0.64)})
        assert Trial("l2", None, wide, 1.0).attack == pytest.approx(0.62)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"max_attack": 60}, "max_attack must lie strictly between 0 and 1"),
            ({"max_attack": 0.5}, "max_attack must be above 0.5, which is guessing"),
            ({"max_loss": -0.1}, "max_loss must be"),
            ({"budget": 1}, "at least 3 times one plain training"),
        ],
    )
    def test_goals_out_of_range(self, options, message):
        with pytest.raises(ValueError, match=message):
            Goal(**options)


def leaky_split():
    """Labels that only heart-learning fits: plain training leaks."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(260, 16)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=260) > 0).astype(int)
    return mpreg.MembershipSplit.from_arrays(x, y, members=60, reference=100, seed=0)


def build():
    model = keras.Sequential(
        [keras.Input((16,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(2, "softmax")]
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    return model


@pytest.mark.slow  # a minute of training
class TestProtect:
    @pytest.fixture(scope="class")
    @classmethod
    def protected(cls, tmp_path_factory):
        out = tmp_path_factory.mktemp("protect") / "out"
        options = {"max_attack": 0.7, "max_loss": 0.2, "budget": 1000, "epochs": 12, "batch_size": 20}
        with pytest.MonkeyPatch.context() as patch:  # a short ladder, and few shadow models
            patch.setattr(search, "LADDER", (Rung("l2", (0.1,), 1.2),))
            patch.setattr(protect, "MAX_SHADOWS", MIN_SHADOWS)
            patch.setattr(attacker, "MAX_SHADOWS", MIN_SHADOWS)
            yield out, options, mpreg.protect(build, leaky_split(), out=out, **options)

    def test_the_winner_is_attacked_on_records_that_nothing_was_chosen_by(self, protected):
        _, _, found = protected
        assert found.search.taken.defence != "undefended"
        assert len(found.report.nonmember_labels) == 100 and found.adaptive == MIN_SHADOWS
        assert any(result.key == "likelihood_ratio" for result in found.report.attacks.values())
        assert list(found.comparison.reports) == ["undefended", found.name]

    def test_every_file_opens(self, protected):
        out, _, found = protected
        names = {path.name for path in out.iterdir() if path.is_file()}
        assert {
            "report.html",
            "report.json",
            "report.md",
            "frontier.png",
            "model_card.md",
            "protection.json",
        } <= names
        kept = json.loads((out / "protection.json").read_text("utf-8"))
        assert kept["met"] is found.met and len(kept["tried"]) == len(found.search.trials)
        assert "frontier.png" in (out / "report.md").read_text("utf-8")
        card = (out / "model_card.md").read_text("utf-8")
        assert found.name in card and "**[TO FILL IN]**" in card
        load = "import sys, keras; m = keras.models.load_model(sys.argv[1])"
        code = f"{load}; print(m.output_shape, 'mpreg' in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code, str(out / "classifier.keras")],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.stdout.endswith("(None, 2) False\n"), done.stderr
        compile((out / "rebuild.py").read_text("utf-8"), "rebuild.py", "exec")

    @pytest.mark.slow
    def test_it_goes_on_where_it_was(self, protected, monkeypatch):
        out, options, found = protected
        monkeypatch.setattr(trials, "attacked", lambda *_, **__: pytest.fail("attacked a trial anew"))
        again = mpreg.protect(build, leaky_split(), out=out, **options)
        assert again.name == found.name and float(again.attack) == float(found.attack)

    def test_a_model_card_that_was_filled_in_stays(self, protected, tmp_path):
        out, options, _ = protected
        text = (out / "model_card.md").read_text("utf-8")
        (tmp_path / "model_card.md").write_text(text.replace("**[TO FILL IN]**", "Our clinic's:"), "utf-8")
        with pytest.raises(ValueError, match="model_card.md is not as it was written"):
            mpreg.protect(build, leaky_split(), out=tmp_path, **options)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"build_fn": None}, "build_fn must be a function"),
            ({"split": (1, 2)}, "split must be a mpreg.MembershipSplit of one array"),
            ({"epochs": 0}, "epochs must be a whole number, at least 1"),
            ({"max_attack": 2}, "max_attack must lie strictly between"),
        ],
    )
    def test_wrong_options_are_quoted(self, change, message, tmp_path):
        given = {"build_fn": build, "split": leaky_split(), "out": tmp_path / "out", **change}
        with pytest.raises(ValueError, match=message):
            mpreg.protect(given.pop("build_fn"), given.pop("split"), **given)
        assert not (tmp_path / "out").exists()

    def test_a_split_without_reference_records(self, tmp_path):
        x = np.random.default_rng(0).normal(size=(40, 16))
        split = mpreg.MembershipSplit.from_arrays(x, np.arange(40) % 2, members=20, reference=0, seed=0)
        with pytest.raises(ValueError, match="the split must have at least 20"):
            mpreg.protect(build, split, out=tmp_path)


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


class TestCommand:
    @pytest.fixture
    def people(self, tmp_path):
        rng = np.random.default_rng(0)
        age, city = rng.normal(50, 9, 200).round(3), np.array(["Rome", "Oslo"])[rng.integers(0, 2, 200)]
        with open(tmp_path / "people.csv", "w", newline="") as file:
            rows = zip(age, city, age + rng.normal(0, 9, 200) > 50, strict=True)
            csv.writer(file).writerows([("age", "city", "old"), *rows])
        return tmp_path / "people.csv"

    def test_a_table_goes_through_and_the_script_trains_the_same_again(self, people, tmp_path, monkeypatch):
        out = tmp_path / "out"
        options = ["--max-attack", 0.99, "--max-loss", 90, "--budget", "3x", "--epochs", 2, "--out", out]
        done = run("protect", "--data", people, "--label", "old", *options)
        assert done.exit_code == 0, done.output
        assert "Taken: undefended" in done.output and "The goal is met" in " ".join(done.output.split())
        assert "had no room for 4" in " ".join(done.output.split())
        assert {"encoding.json", "split.npz", "classifier.keras"} <= {path.name for path in out.iterdir()}
        monkeypatch.chdir(tmp_path)
        runpy.run_path(str(out / "rebuild.py"))
        one, other = (
            keras.models.load_model(file) for file in (out / "classifier.keras", tmp_path / "rebuilt.keras")
        )
        for weights, again in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(weights, again, atol=1e-5)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--label", "old", "--budget", "lots"], "no multiple of one plain training"),
            (["--label", "old", "--max-attack", "60"], "max_attack must lie strictly between 0 and 1"),
            (["--label", "young"], "there is no column 'young'"),
            ([], "must name the column of labels"),
        ],
    )
    def test_wrong_input_ends_with_2(self, people, options, message, tmp_path):
        done = run("protect", "--data", people, *options, "--out", tmp_path / "out")
        assert done.exit_code == 2 and message in " ".join(done.output.split())
        assert "Traceback" not in done.output and not (tmp_path / "out").exists()


def test_kept_trials_are_of_their_attacks(tmp_path):
    """Shadow models serve whatever attacks; figures are of the attacks that found them."""
    x, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 2
    split = mpreg.MembershipSplit.from_arrays(x, y, members=20, reference=20, seed=0)
    job = trials.Job(None, None, split, 0, tmp_path)
    stamps = [
        job.stamp("undefended", None, attacks=found)["digest"]
        for found in ((), *map(mpreg.attacks.suite, ("fast", "standard", "strong")))
    ]
    assert len(set(stamps)) == 4
    assert stamps[2] == job.stamp("undefended", None, attacks=mpreg.attacks.suite("standard"))["digest"]

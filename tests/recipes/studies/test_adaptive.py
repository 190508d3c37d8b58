"""Cells judged by an attacker who trains with the same defence: shadow models that are kept, canaries, the table."""

import dataclasses
import json
from unittest import mock

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from support.registries import forgetting

import mpreg
from mpreg.attacks import draw_membership
from mpreg.catalogue import DEFENCES, SETTINGS, Defence, register
from mpreg.recipes.studies import adaptive, compare, defence_table, frontier
from mpreg.recipes.studies.cells import Cell
from mpreg.recipes.studies.shadows import KeptShadows

SHADOWS = 4
TRAINED = mock.Mock()  # told of every training; a digest does not read it


class Memory:
    """A classifier that is trained at once: it knows its own records, and guesses by the nearest mean elsewhere."""

    def __init__(self, x, y, strength):
        self.known, self.strength = {row.tobytes(): label for row, label in zip(x, y, strict=True)}, strength
        self.means = np.stack([np.mean([x.mean(axis=0), *x[y == label]], axis=0) for label in range(10)])

    def predict_proba(self, x):
        scores = -((x[:, None] - self.means) ** 2).sum(axis=2) / 100
        for row, record in enumerate(x):
            label = self.known.get(record.tobytes())
            if label is not None:
                scores[row, label] += self.strength
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)


def remember(task, strength):
    TRAINED(task.seed, len(task.split.members[1]))
    return Memory(*task.split.members, strength)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Digits with few records, classifiers of no training time, and of the strong suite one with shadow models."""
    tiny = SETTINGS["digits"].replace(members=60, reference=40, nonmembers=60, epochs=1)
    monkeypatch.setitem(SETTINGS, "digits", tiny)
    monkeypatch.setattr(keras.backend, "clear_session", lambda: None)  # collects garbage for a second
    monkeypatch.setattr(
        Cell, "suite", property(lambda cell: ["fast", "likelihood_ratio"] if cell.shadows else "fast")
    )
    with forgetting():
        for name, strength in (("undefended", 3.0), ("memory", 1.0), ("less", 0.3)):
            made = Defence(name=name, build=remember, source="us", usual={"*": strength})
            register(made, replace=name == "undefended")
        TRAINED.reset_mock()
        yield


def method_unknown(whole):
    """A zip file whose members are compressed by a method that nobody knows."""
    at = whole.index(b"PK\x01\x02") + 10
    return whole[:at] + b"\x63" + whole[at + 1 :]


class TestACell:
    def test_the_headline_is_the_highest_of_all_attacks(self, tmp_path):
        report = Cell("digits", "memory", shadows=SHADOWS).make(tmp_path)["report"]
        highest = max(found["accuracy"]["value"] for found in report["attacks"].values())
        assert report["attack_accuracy"]["value"] == highest
        assert "likelihood ratio (LiRA)" in report["attacks"] or len(report["attacks"]) == 10
        standard = adaptive.standard_accuracy(report)["value"]
        without = [found for found in report["attacks"].values() if found["key"] != "likelihood_ratio"]
        assert standard == max(found["accuracy"]["value"] for found in without) <= highest
        assert report["cost"]["shadow_models"] == SHADOWS
        assert report["cost"]["shadow_training"] == "one by one, with the same defence"

    def test_limits_of_the_standard_suite_are_those_of_its_own_headline(self, tmp_path):
        cell = Cell("digits", "memory", shadows=SHADOWS)
        found = adaptive.standard_accuracy(cell.make(tmp_path)["report"])
        data, split = cell.draw()
        model = DEFENCES["memory"].train(cell.setting, data, split, seed=0)
        assert found == pytest.approx(mpreg.evaluate(model, split, attacks="fast").attack_accuracy.to_dict())

    def test_shadow_models_are_trained_as_the_target_on_other_records(self, tmp_path):
        Cell("digits", "memory", 3, shadows=SHADOWS).make(tmp_path)
        trained = [call.args for call in TRAINED.call_args_list]
        assert [records for _, records in trained] == [60] * (SHADOWS + 1)
        assert trained[-1] == (3, 60)  # the target, last
        assert len({seed for seed, _ in trained}) == SHADOWS + 1

    def test_the_same_figures_come_of_shadow_training(self, tmp_path):
        """An evaluation by hand, of models trained by the catalogue, in one go."""
        cell = Cell("digits", "memory", shadows=SHADOWS)
        found = cell.make(tmp_path)["report"]
        data, split = cell.draw()

        def train(x, y, seed):
            known = mpreg.MembershipSplit((x, y), split.reference, split.nonmembers, duplicates="allow")
            return DEFENCES["memory"].train(cell.setting, data, known, seed=7_000 + seed)

        model = DEFENCES["memory"].train(cell.setting, data, split, seed=0)
        shadows = mpreg.ShadowTraining(train, count=SHADOWS)
        expected = mpreg.evaluate(model, split, attacks=cell.suite, shadows=shadows).to_dict()
        accuracies = [
            {name: attack["accuracy"]["value"] for name, attack in report["attacks"].items()}
            for report in (found, expected)
        ]
        assert accuracies[0] == pytest.approx(accuracies[1], abs=1e-9)

    def test_a_run_that_was_stopped_trains_only_what_is_missing(self, tmp_path, monkeypatch):
        cell = Cell("digits", "memory", shadows=SHADOWS)
        train = type(DEFENCES["memory"]).train
        calls = []

        def stopped(*args, **options):
            calls.append(options["seed"])
            if len(calls) == 3:
                raise KeyboardInterrupt
            return train(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(type(DEFENCES["memory"]), "train", stopped)
            with pytest.raises(KeyboardInterrupt):
                cell.make(tmp_path)
        assert cell.kept(tmp_path) is None
        assert sorted(path.name for path in tmp_path.rglob("*.npz")) == ["000.npz", "001.npz"]
        TRAINED.reset_mock()
        found = cell.make(tmp_path)
        assert TRAINED.call_count == SHADOWS - 2 + 1
        fresh = cell.make(tmp_path / "fresh")
        assert found["report"]["attacks"] == fresh["report"]["attacks"]

    @pytest.mark.parametrize("damage", [lambda whole: whole[:100], lambda _: b"", method_unknown])
    def test_a_file_that_was_cut_short_is_made_anew(self, tmp_path, damage):
        cell = Cell("digits", "memory", shadows=2)
        cell.make(tmp_path)
        path = tmp_path / "shadows" / cell.shadows_name / "001.npz"
        path.write_bytes(damage(path.read_bytes()))
        TRAINED.reset_mock()
        cell.make_anew(tmp_path)
        assert TRAINED.call_count == 2  # that one and the target

    def test_another_attack_needs_no_other_shadow_models(self, tmp_path):
        Cell("digits", "memory", shadows=2).make(tmp_path)
        TRAINED.reset_mock()
        Cell("digits", "memory", shadows=2, attacks=("loss_threshold",)).make(tmp_path)
        assert TRAINED.call_count == 1

    @pytest.mark.parametrize("kind", ["mislabelled", "twins"])
    def test_canaries_are_planted_in_the_target_and_its_shadow_models(self, tmp_path, kind):
        cell = Cell("digits", "undefended", shadows=SHADOWS, canaries=f"{kind}:10")
        report = cell.make(tmp_path)["report"]
        assert (report["canaries"]["kind"], report["canaries"]["members"]) == (kind, 10)
        assert (report["members"], report["nonmembers"]) == (50, 50)
        data, split = cell.draw()
        model = DEFENCES["undefended"].train(cell.setting, data, split, seed=0)
        shadows = adaptive.shadows_of(cell, data, split, tmp_path / "shadows")
        whole = mpreg.evaluate(model, split, attacks=cell.suite, shadows=shadows, reference=False).to_dict()
        assert json.dumps(report["canaries"]) == json.dumps(whole["canaries"])
        membership = draw_membership(SHADOWS, 120, 60, seed=0)
        with np.load(tmp_path / "shadows" / cell.shadows_name / "000.npz") as file:
            assert file["answers"].shape == (160, 10)  # the pool, and the reference
        assert membership.shape[1] == len(split.members[1]) + len(split.nonmembers[1])


def test_defences_of_answers_reuse_the_undefended_shadow_models(tmp_path, monkeypatch):
    """Keras models here, of one epoch."""
    DEFENCES["undefended"] = Defence(name="undefended", build=lambda task, _: task.trained(), source="us")
    fit, fitted = keras.Model.fit, []
    monkeypatch.setattr(
        keras.Model, "fit", lambda *args, **options: fitted.append(1) or fit(*args, **options)
    )
    cells = {name: Cell("digits", name, shadows=2) for name in ("undefended", "temperature")}
    for name in ("undefended", "temperature"):
        data, split = cells[name].draw()
        shadows = adaptive.shadows_of(cells[name], data, split, tmp_path)
        assert (len(shadows), len(fitted)) == (2, 2)
    answers = {}
    for name, cell in cells.items():
        with np.load(tmp_path / cell.shadows_name / "000.npz") as file:
            answers[name] = file["answers"]
    softened = answers["undefended"] ** (1 / 20)
    softened /= softened.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers["temperature"], softened, atol=1e-4)


class TestKeptShadows:
    def test_they_answer_to_what_they_were_asked_about_and_to_nothing_else(self, tmp_path):
        rng = np.random.default_rng(0)
        x, others, y = rng.random((20, 3)), rng.random((5, 3)), np.arange(20) % 2

        class Model:
            def predict_proba(self, x):
                return np.stack([x[:, 0], 1 - x[:, 0]], axis=1)

        kept = KeptShadows(lambda x, y, seed: Model(), tmp_path, count=2, others=others)
        membership = draw_membership(2, 20, 10)
        models = kept.train(x, y, membership=membership)
        (first, _) = models.query(others[::-1], np.zeros(5, int))
        np.testing.assert_allclose(np.exp(first.log_probabilities[:, 0]), others[::-1, 0], atol=1e-6)
        with pytest.raises(ValueError, match="5 of 5 records are new to the shadow models"):
            list(models.query(others + 1, np.zeros(5, int)))

    @pytest.mark.parametrize("change", ["stamp", "seed", "labels", "membership"])
    def test_files_of_something_else_are_made_anew(self, tmp_path, change):
        x, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2
        trained = []

        class Model:
            def predict_proba(self, x):
                return np.full((len(x), 2), 0.5)

        def made(stamp="a", seed=0, labels=y, of=0):
            kept = KeptShadows(
                lambda x, y, seed: trained.append(seed) or Model(), tmp_path, count=2, stamp=stamp
            )
            kept.train(x, labels, membership=draw_membership(2, 20, 10, seed=of), seed=seed)

        made()
        made()
        assert trained == [0, 1]
        made(
            **{
                "stamp": {"stamp": "b"},
                "seed": {"seed": 5},
                "labels": {"labels": 1 - y},
                "membership": {"of": 1},
            }[change]
        )
        assert len(trained) == 4


class TestOptions:
    @pytest.mark.parametrize(
        ("members", "expected"),
        [(1_500, "mislabelled:150"), (10_000, "mislabelled:500"), (400, "mislabelled:40"), (15, "")],
    )
    def test_a_tenth_of_the_members_become_canaries(self, members, expected):
        found = adaptive.options_of(SETTINGS["digits"].replace(members=members))
        assert found == {"shadows": 16, "canaries": expected}

    def test_the_quick_way_and_none(self):
        setting = SETTINGS["digits"]
        assert adaptive.options_of(setting, attackers="standard") == {"shadows": 0, "canaries": ""}
        assert adaptive.options_of(setting, canaries="none") == {"shadows": 16, "canaries": ""}
        assert adaptive.options_of(setting, canaries="twins:20")["canaries"] == "twins:20"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"attackers": "strong"}, "attacks must be one of adaptive, standard. Received: 'strong'"),
            ({"shadows": 1}, "shadows must be a whole number, at least 2. Received: shadows=1"),
            ({"canaries": "wrong:10"}, "Received: 'wrong:10'"),
            ({"canaries": "twins"}, "canaries must be KIND:COUNT, such as mislabelled:150"),
            ({"canaries": "twins:-3"}, "Received: 'twins:-3'"),
        ],
    )
    def test_anything_else_is_refused(self, options, message):
        with pytest.raises(ValueError, match=message):
            adaptive.options_of(SETTINGS["digits"], **options)


def test_the_table_ranks_by_the_adaptive_attack_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(defence_table, "CURVE", (("undefended", None), ("memory", 0.1)))
    options = ["--dataset", "digits", "--defences", "memory,less", "--seeds", "1", "--shadows", "2"]
    options += ["--canaries", "mislabelled:6", "--out", str(tmp_path)]
    done = CliRunner().invoke(defence_table.command, options)
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "table.json").read_text())["digits"]
    assert {row["defence"] for row in rows} == {"undefended", "memory", "less"}
    attacks = [row["adaptive_attack_accuracy"]["mean"] for row in rows]
    assert attacks == sorted(attacks)
    for row in rows:
        for figure in (
            "attack_accuracy",
            "adaptive_attack_accuracy",
            "canary_attack_accuracy",
            "canary_tpr_at_1_percent",
        ):
            assert row[figure]["low"] <= row[figure]["mean"] <= row[figure]["high"]
        assert row["attack_accuracy"]["mean"] <= row["adaptive_attack_accuracy"]["mean"]
        cell = Cell("digits", row["defence"], shadows=2, canaries="mislabelled:6")
        planted = cell.kept(tmp_path / "cells")["report"]["canaries"]
        assert row["canary_attack_accuracy"]["mean"] == planted["attack_accuracy"]["value"]
        assert row["canary_tpr_at_1_percent"]["mean"] == planted["tpr_at_fpr"]["0.01"]["value"]
        attacks = (
            dataclasses.replace(cell, canaries="").kept(tmp_path / "cells")["report"]["attacks"].values()
        )
        tpr, found = row["tpr_at_1_percent"], [attack["tpr_at_fpr"]["0.01"] for attack in attacks]
        assert tpr["mean"] == max(one["value"] for one in found)
        assert tpr["high"] >= max(one["high"] for one in found if one["value"] == tpr["mean"])  # of them all
    text = (tmp_path / "digits.md").read_text()
    assert "| adaptive attack | canaries |" in text and "6 mislabelled members" in text
    TRAINED.reset_mock()
    assert CliRunner().invoke(defence_table.command, options).exit_code == 0
    assert not TRAINED.called


def test_a_second_training_lends_its_canaries_to_the_first(tmp_path):
    cell = Cell("digits", "undefended", shadows=2, canaries="mislabelled:6")
    report = adaptive.attack_with_canaries(cell, tmp_path).report
    plain = adaptive.attack(dataclasses.replace(cell, canaries=""), tmp_path).report
    assert report.members == 60 and report.canaries.members == 6
    assert float(report.attack_accuracy) == float(plain.attack_accuracy)
    assert report.notes[-1].startswith("Canaries: 6 mislabelled members and as many non-members of a second")


def test_compare_and_the_frontier_judge_alike(tmp_path, monkeypatch):
    """Both show canaries beside the adaptive attack, and go on where they were."""
    monkeypatch.setattr(frontier, "PrivacyMeter", lambda split, log_dir: None)
    judges = {"shadows": 2, "canaries": "mislabelled:6", "dataset": "digits"}
    comparison = compare.run("memory", **judges, out=tmp_path / "compared")
    report = comparison["memory"]
    assert (report.cost["shadow_models"], report.canaries.members) == (2, 6)
    assert "attack on canaries" in comparison.to_markdown()
    TRAINED.reset_mock()
    again = compare.run("memory", **judges, out=tmp_path / "compared")
    assert TRAINED.call_count == 4  # both targets, plain and with canaries
    assert again["memory"].attack_accuracy == report.attack_accuracy
    (plain, point) = frontier.run("memory", **judges, points=1, out=tmp_path / "swept")
    assert point.attack_accuracy == report.attack_accuracy
    assert point.canaries == report.canaries.attack_accuracy
    header, rows = frontier.rows_of([plain, point])
    assert header[-2:] == ["attack on canaries", "frontier"] and len(rows[0]) == len(header)
    TRAINED.reset_mock()
    frontier.run("memory", **judges, points=1, out=tmp_path / "swept")
    assert not TRAINED.called


def test_what_it_costs_is_announced():
    cells = [Cell("digits", name, shadows=16, canaries="twins:10") for name in ("undefended", "memory")]
    said = adaptive.announced(cells)
    assert "16 shadow models" in said and "68 trainings" in said and "10 members" in said
    assert "34 trainings" in adaptive.announced([dataclasses.replace(cell, canaries="") for cell in cells])
    assert adaptive.announced([Cell("digits", "memory")]) == adaptive.STANDARD_ONLY


def test_too_many_canaries_are_refused_before_anything_is_trained(tmp_path):
    for run in (
        compare.run,
        frontier.run,
        lambda names, dataset, **options: defence_table.run([dataset], **options),
    ):
        with pytest.raises(ValueError, match="there are 60 members, 60 of them without. Received: count=59"):
            run("memory", dataset="digits", canaries="mislabelled:59", out=tmp_path)
    assert not TRAINED.called

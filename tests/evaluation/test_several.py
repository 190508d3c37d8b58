"""Records of several decisions: joint attacks and those on each label, against sums and means done by hand."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

import mpreg
from mpreg import metrics, signals
from mpreg.callbacks import PrivacyMeter
from mpreg.cli import main
from mpreg.signals.decisions import read_several

N, LABELS = 150, 4
RNG = np.random.default_rng(0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.fixture(scope="module")
def multilabel():
    """Logits and labels of members, which are answered more surely, and of non-members."""
    y = RNG.integers(0, 2, (2 * N, LABELS))
    sure = np.repeat([2.0, 1.0], N)[:, None]
    z = RNG.normal(size=(2 * N, LABELS)) + sure * (2 * y - 1)
    return (z[:N], y[:N]), (z[N:], y[N:])


@pytest.fixture(scope="module")
def positions():
    """Logits (n, 3, 5, classes) and labels (n, 3, 5) of both sides; some positions do not count."""
    y = RNG.integers(0, 3, (2 * N, 3, 5))
    z = RNG.normal(size=(2 * N, 3, 5, 3)) + np.eye(3)[y] * np.repeat([1.5, 1.0], N)[:, None, None, None]
    y[:, 0, :2] = -1
    return (z[:N], y[:N]), (z[N:], y[N:])


def evaluate(members, nonmembers, **options):
    return mpreg.evaluate_predictions(*members, *nonmembers, **options)


class TestSignals:
    def test_the_joint_loss_is_the_mean_of_the_losses_of_all_labels(self, multilabel):
        z, y = multilabel[0]
        p = sigmoid(z)
        by_hand = np.where(y == 1, np.log(p), np.log(1 - p)).mean(axis=1)
        (joint,), (apart,) = read_several({"members": (z, y)}, "labels")
        np.testing.assert_allclose(signals.loss(joint), by_hand, rtol=1e-9)
        np.testing.assert_allclose(np.mean([signals.loss(one) for one in apart], axis=0), by_hand, rtol=1e-9)

    def test_positions_that_do_not_count_are_left_out(self, positions):
        z, y = positions[0]
        logs = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
        own = np.take_along_axis(logs, np.maximum(y, 0)[..., None], axis=-1)[..., 0]
        by_hand = np.array([row[keep].mean() for row, keep in zip(own, y >= 0, strict=True)])
        (joint,), (apart,) = read_several({"members": (z, y)}, "positions")
        np.testing.assert_allclose(signals.loss(joint), by_hand, rtol=1e-9)
        assert apart == []
        changed = z.copy()
        changed[y < 0] = 9.0
        (other,), _ = read_several({"members": (changed, y)}, "positions")
        for signal in (signals.entropy, signals.modified_entropy, signals.correctness):
            np.testing.assert_allclose(signal(joint), signal(other))

    def test_one_position_is_one_class(self):
        z, y = RNG.normal(size=(40, 1, 3)), RNG.integers(0, 3, (40, 1))
        (joint,), _ = read_several({"members": (z, y)}, "positions")
        single = signals.read_answers(z[:, 0], y[:, 0])
        for signal in (signals.loss, signals.entropy, signals.modified_entropy, signals.confidence):
            np.testing.assert_allclose(signal(joint), signal(single))


class TestReports:
    def test_labels_are_attacked_together_and_apart(self, multilabel):
        report = evaluate(*multilabel, decisions="labels")
        (z, y), (other_z, other_y) = multilabel
        assert float(report.train_accuracy) == pytest.approx(np.mean((z > 0) == y))
        assert float(report.test_accuracy) == pytest.approx(np.mean((other_z > 0) == other_y))
        losses = [
            np.log(sigmoid(np.where(side[1] == 1, side[0], -side[0]))).sum(axis=1) for side in multilabel
        ]
        auc = roc_auc_score(np.repeat([1, 0], N), np.concatenate(losses))
        assert float(report.attacks["loss threshold"].auc) == pytest.approx(auc)
        assert list(report.per_label) == ["0", "1", "2", "3"]
        column = evaluate(*[(z[:, 1], y[:, 1]) for z, y in multilabel])
        assert float(report.per_label["1"].attack_accuracy) == float(column.attack_accuracy)
        assert report.attack_accuracy > max(float(one.attack_accuracy) for one in report.per_label.values())

    def test_logits_and_probabilities_say_the_same(self, multilabel):
        by_probabilities = [(sigmoid(z), y) for z, y in multilabel]
        found = [
            evaluate(*sides, decisions="labels", attacks="fast") for sides in (multilabel, by_probabilities)
        ]
        assert float(found[0].attack_accuracy) == float(found[1].attack_accuracy)

    def test_documents_and_pages_are_written(self, multilabel, tmp_path):
        report = evaluate(*multilabel, decisions="labels", attacks="fast")
        document = json.loads(report.to_json())
        assert document["per_class"] == [] and len(document["per_label"]) == LABELS
        schema = (Path(__file__).resolve().parents[2] / "docs" / "report-schema.md").read_text("utf-8")
        documented = set(re.findall(r"^\| `per_label\.\*\.([^`.]+)", schema, re.M))
        assert all(set(one) == documented for one in document["per_label"].values())
        assert "Per label" in mpreg.reports.markdown.render_markdown(document)
        report.to_html(tmp_path / "report.html")
        assert "4 labels, each of them yes or no" in (tmp_path / "report.html").read_text("utf-8")

    def test_nearly_all_decisions_may_be_right(self):
        y = np.random.default_rng(1).integers(0, 2, (40, 60))
        answers = np.where(y == 1, 0.9, 0.1)
        wrong = answers.copy()
        wrong[0, 0] = 1 - wrong[0, 0]
        report = evaluate((wrong, y), (answers, y), attacks="fast", decisions="positions")
        assert report.train_accuracy == pytest.approx(1 - 1 / 2400)
        assert report.train_accuracy.interval == pytest.approx((metrics.clopper_pearson(39, 40)[0], 1.0))

    def test_positions_are_attacked_together(self, positions):
        report = evaluate(*positions, decisions="positions", attacks="fast")
        (z, y), _ = positions
        assert float(report.train_accuracy) == pytest.approx(np.mean((z.argmax(-1) == y)[y >= 0]))
        assert report.per_label is None and report.attack_accuracy > 0.6
        with_axis = [(z, y[..., None]) for z, y in positions]
        assert float(evaluate(*with_axis, decisions="positions", attacks="fast").attack_accuracy) == float(
            report.attack_accuracy
        )

    @pytest.mark.parametrize(
        ("change", "options", "message"),
        [
            (lambda z, y: (z, y), {"decisions": "many"}, "decisions must be one of"),
            (lambda z, y: (z, y), {}, 'decisions="labels"'),
            (lambda z, y: (z[:, :3], y), {"decisions": "labels"}, "predictions must be one for each label"),
            (lambda z, y: (z, 2 * y), {"decisions": "labels"}, "a 0 or a 1 for each label"),
            (lambda z, y: (z, y - 1), {"decisions": "positions"}, "none of the positions counts"),
            (lambda z, y: (100 * sigmoid(z), y), {"decisions": "labels"}, "divide them by 100"),
            (
                lambda z, y: (z, y),
                {"decisions": "labels", "attacks": "strong"},
                "needs .* one class a record",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused(self, multilabel, change, options, message):
        with pytest.raises(ValueError, match=message):
            evaluate(*[change(*side) for side in multilabel], **options)

    def test_a_single_unit_in_percent_is_refused(self, multilabel):
        p = [(100 * sigmoid(z[:, 0]), y[:, 0]) for z, y in multilabel]
        with pytest.raises(ValueError, match="divide them by 100"):
            evaluate(*p)
        assert evaluate(*p, from_logits=True).members == N


def network(units, activation="sigmoid"):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(units, activation)])


class TestModels:
    @pytest.fixture(scope="class")
    @classmethod
    def split(cls):
        x = RNG.normal(size=(90, 6)).astype("float32")
        y = (x[:, :LABELS] + RNG.normal(size=(90, LABELS)) > 0).astype(int)
        return mpreg.MembershipSplit.from_arrays(x, y, members=30, reference=30, seed=0, decisions="labels")

    @pytest.mark.parametrize("activation", ["sigmoid", None])
    def test_a_keras_model_of_several_labels(self, split, activation):
        report = mpreg.evaluate(network(LABELS, activation), split, attacks="fast", reference=True)
        assert report.members == 30 and len(report.per_label) == LABELS
        assert report.reference.members == 30

    def test_a_train_and_a_test_set(self, split):
        again = mpreg.MembershipSplit.from_train_test(split.members, split.nonmembers, decisions="labels")
        assert again.decisions == "labels" and again.members[1].shape == (30, LABELS)

    def test_dpsgd_trains_one(self, split):
        model = mpreg.DPSGD(network(LABELS), noise_multiplier=1.0, l2_norm_clip=1.0)
        model.compile("sgd", "binary_crossentropy")
        model.fit(*split.members, batch_size=10, epochs=1, verbose=0)
        assert mpreg.evaluate(model, split, attacks="fast").decisions == "labels"

    @pytest.mark.parametrize(
        ("run", "message"),
        [
            (
                lambda split: mpreg.AdversarialRegularization(network(LABELS), split.reference),
                'decisions="labels"',
            ),
            (lambda split: PrivacyMeter(split), "PrivacyMeter judges models that answer one class"),
            (
                lambda split: mpreg.plant_canaries(split, 5, seed=0),
                "canaries are planted among records of one class",
            ),
            (lambda split: mpreg.evaluate(network(LABELS, "softmax"), split), "Leave decisions out"),
        ],
    )
    def test_what_takes_one_class_a_record_refuses_it_by_name(self, split, run, message):
        with pytest.raises(ValueError, match=message):
            run(split)

    def test_an_audit_of_files(self, split, tmp_path):
        network(LABELS).save(tmp_path / "m.keras")
        for role in ("members", "nonmembers"):
            x, y = getattr(split, role)
            np.savez(tmp_path / f"{role}.npz", x=x, y=y)
        options = ["audit", tmp_path / "m.keras", "--out", tmp_path / "out", "--attacks", "fast"]
        options += ["--members", tmp_path / "members.npz", "--nonmembers", tmp_path / "nonmembers.npz"]
        done = CliRunner().invoke(main, [*map(str, options), "--decisions", "labels"])
        assert done.exit_code == 0, done.output
        assert "Per label" in (tmp_path / "out" / "report.md").read_text("utf-8")
        done = CliRunner().invoke(main, [*map(str, options)])
        assert done.exit_code == 2 and "--decisions" in done.output

    def test_pictures_with_a_class_at_each_pixel(self):
        x = RNG.random((60, 4, 4, 1)).astype("float32")
        y = (x[..., 0] > 0.5).astype(int)
        split = mpreg.MembershipSplit.from_arrays(
            x, y, members=20, reference=0, seed=0, decisions="positions"
        )
        for units, activation in ((2, "softmax"), (1, "sigmoid")):
            layers = [keras.Input((4, 4, 1)), keras.layers.Conv2D(units, 1, activation=activation)]
            report = mpreg.evaluate(keras.Sequential(layers), split, attacks="fast")
            assert report.decisions == "positions" and report.members == 20

"""Split distillation and distillation to reference: whose answers a student learns, and from which records."""

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
from keras import layers
from support import CLASSES, FEATURES, assert_same_weights, mlp, records

import mpreg
from mpreg.data.copies import join_copies
from mpreg.ensembles import DistillToReference, Erased, SplitDistillation, split_distillation
from mpreg.ensembles.reference_distillation import lowest_entropy_rows
from mpreg.ensembles.split_distillation import answers_of_others, draw_parts
from mpreg.ensembles.student import soften
from mpreg.fleet import Fleet
from mpreg.signals import read_answers
from mpreg.training.game.adversarial import AdversarialRegularization


def classifier(*, units=CLASSES, activation="softmax", loss="sparse_categorical_crossentropy"):
    """A compiled classifier whose weights follow the global seed."""
    stack = [keras.Input((FEATURES,)), layers.Dense(8, "tanh"), layers.Dense(units, activation)]
    model = keras.Sequential(stack)
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=["accuracy"])
    return model


def memorizer(count):
    """A classifier that answers evenly to a record until it is trained on that very record: each has its weights."""

    def build():
        last = layers.Dense(CLASSES, kernel_initializer="zeros", use_bias=False)
        model = keras.Sequential([keras.Input((count,)), last])
        model.compile(keras.optimizers.SGD(1.0), keras.losses.CategoricalCrossentropy(from_logits=True))
        return model

    return build


def one_hot(y):
    return np.eye(CLASSES, dtype=np.float32)[y]


@pytest.fixture(scope="module")
def members():
    return records(50, seed=1)


@pytest.fixture(scope="module")
def split():
    return mpreg.MembershipSplit(records(50, seed=1), records(30, seed=2), records(30, seed=3))


@pytest.fixture(scope="module", autouse=True)
def fleets():
    """All fleets that are trained here, in order: a `SplitDistillation` does not keep its own."""
    made = []

    class Kept(Fleet):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split_distillation, "Fleet", Kept)
        yield made


def distil(members):
    model = SplitDistillation(classifier, submodels=4, held_out=2, distill_epochs=20, seed=4)
    return model.fit(*members, epochs=3, batch_size=10, verbose=0)


@pytest.fixture(scope="module")
def trained(members, fleets):
    return distil(members), fleets[-1]


@pytest.fixture(scope="module")
def distilled(trained):
    return trained[0]


@pytest.fixture(scope="module")
def fleet(trained):
    return trained[1]


@pytest.fixture(scope="module")
def referred(split):
    return DistillToReference(classifier, split.reference, seed=3).fit(*split.members, epochs=4, verbose=0)


class TestParts:
    @pytest.mark.parametrize(
        ("count", "submodels", "held_out"),
        [(1500, 25, 10), (37, 5, 2), (11, 4, 3), (40, 2, 1), (9, 7, 1), (5, 6, 4)],
    )
    def test_each_record_is_left_out_by_exactly_so_many_and_sub_models_are_of_one_size(
        self, count, submodels, held_out
    ):
        membership = draw_parts(count, submodels, held_out, seed=3)
        assert membership.shape == (submodels, count) and membership.dtype == bool
        assert ((~membership).sum(axis=0) == held_out).all()
        sizes = membership.sum(axis=1)
        assert sizes.max() - sizes.min() <= 1 and sizes.min() >= 1

    def test_who_leaves_a_record_out_is_drawn(self):
        draws = np.stack([draw_parts(23, 5, 2, seed=seed) for seed in range(2000)])
        # Each sub-model leaves out each record, and each pair of sub-models leaves out a record together, as often
        # as any other.
        assert np.abs((~draws).mean(axis=0) - 2 / 5).max() < 0.05
        left_out = (~draws).astype(np.float64)
        together = np.einsum("dmr,dnr->mn", left_out, left_out) / (2000 * 23)
        assert np.abs(together[np.triu_indices(5, 1)] - 1 / 10).max() < 0.01

    def test_the_draw_follows_the_seed(self):
        one, again, other = (draw_parts(40, 5, 2, seed=seed) for seed in (1, 1, 2))
        assert np.array_equal(one, again) and not np.array_equal(one, other)

    def test_too_few_records(self):
        with pytest.raises(
            ValueError, match="1 records are too few: of 5 sub-models, each without 2 in 5 of the"
        ):
            draw_parts(1, 5, 2, seed=0)


class TestSplitDistillation:
    def test_no_soft_label_comes_from_a_model_trained_on_the_record(self, fleets):
        count = 24
        x, y = np.eye(count, dtype=np.float32), records(count)[1]

        def copies(x):
            yield 2 * x
            yield 3 * x

        model = SplitDistillation(memorizer(count), submodels=4, held_out=3, distill_epochs=1, copies=copies)
        model.fit(x, one_hot(y), epochs=4, batch_size=4, verbose=0)
        assert model.soft_labels.shape == (2 * count, CLASSES)
        np.testing.assert_allclose(model.soft_labels, 1 / CLASSES, rtol=1e-6)
        on_records = answers_of_others(fleets[-1], x, model.membership)
        np.testing.assert_allclose(on_records, 1 / CLASSES, rtol=1e-6)
        # They are memorizers indeed: those that were trained on a record are right about it, and surer than even.
        own = fleets[-1].predict(x)[model.membership]
        labels = np.broadcast_to(y, model.membership.shape)[model.membership]
        assert (own.argmax(axis=1) == labels).all() and (own.max(axis=1) > 0.5).all()

    def test_copies_of_a_record_are_left_out_by_the_same_submodels(self):
        """Else those that "never saw" a record saw its twin; so with the records of one person."""
        x, y = records(12)
        rows, persons = np.r_[np.arange(12), np.arange(6)], np.r_[np.arange(12) // 2, np.arange(6) // 2]
        x, y = x[rows], y[rows]
        model = SplitDistillation(memorizer(FEATURES), submodels=4, held_out=2, distill_epochs=1, seed=1)
        alike = model.fit(x, one_hot(y), epochs=1, verbose=0).membership
        np.testing.assert_array_equal(alike[:, 12:], alike[:, :6])
        assert (alike.sum(axis=0) == 2).all() and len(np.unique(alike[:, :12], axis=1).T) > 2
        by_person = model.fit(x, one_hot(y), epochs=1, verbose=0, groups=persons).membership
        for person in range(6):
            assert len(np.unique(by_person[:, persons == person], axis=1).T) == 1

    def test_soft_labels_are_the_mean_of_a_naive_loop(self, distilled, fleet, members):
        x, y = members
        replicas = [fleet.model(each) for each in range(4)]
        for record in range(0, len(y), 7):
            answers = [
                np.asarray(replica(x[record : record + 1]))[0]
                for replica, trained_on in zip(replicas, distilled.membership, strict=True)
                if not trained_on[record]
            ]
            assert len(answers) == 2
            np.testing.assert_allclose(distilled.soft_labels[record], np.mean(answers, axis=0), atol=1e-5)

    def test_soft_labels_are_the_same_in_slices(self, distilled, fleet, members):
        at_once = 4 * 4 * CLASSES * 20
        in_slices = answers_of_others(fleet, members[0], distilled.membership, at_once=at_once)
        np.testing.assert_allclose(in_slices, distilled.soft_labels, atol=1e-6)

    def test_the_same_seed_gives_the_same_student(self, distilled, members):
        keras.utils.set_random_seed(77)
        again = distil(members)
        assert_same_weights(again.target_model, distilled.target_model)
        np.testing.assert_array_equal(again.soft_labels, distilled.soft_labels)

    def test_the_student_learns_the_soft_labels_and_not_the_labels(self, distilled, members):
        x, y = members
        answers = distilled.predict(x, verbose=0).argmax(axis=1)
        assert np.mean(answers == distilled.soft_labels.argmax(axis=1)) > np.mean(answers == y) + 0.2
        assert len(distilled.history.epoch) == 20

    def test_the_student_is_a_plain_model(self, distilled, members, tmp_path):
        distilled.target_model.save(tmp_path / "student.keras")
        reloaded = keras.saving.load_model(tmp_path / "student.keras")
        assert type(reloaded).__module__.startswith("keras.")
        x, y = members
        answers = distilled.predict(x, verbose=0)
        np.testing.assert_allclose(reloaded.predict(x, verbose=0), answers, atol=1e-6)
        _, accuracy = distilled.evaluate(x, y, verbose=0)
        assert accuracy == pytest.approx(np.mean(answers.argmax(axis=1) == y))

    def test_it_is_attacked_as_its_student_is(self, distilled, split):
        report, of_student = (
            mpreg.evaluate(model, split, attacks="fast") for model in (distilled, distilled.target_model)
        )
        assert report.attack_accuracy == of_student.attack_accuracy
        assert report.test_accuracy == of_student.test_accuracy

    def test_a_defence_goes_around_the_student(self):
        """Here of one logit for two classes."""
        given = []

        def build():
            return classifier(
                units=1, activation=None, loss=keras.losses.BinaryCrossentropy(from_logits=True)
            )

        def wrap(student):
            given.append(student)
            return AdversarialRegularization(student, records(30, classes=2, seed=2), penalty=2.0)

        model = SplitDistillation(build, submodels=2, held_out=1, distill_epochs=2, wrap_student=wrap)
        model.fit(*records(20, classes=2), epochs=1, verbose=0)
        assert model.consumes_reference
        assert model.target_model is given[0].target_model
        assert {"accuracy", "inference_accuracy", "membership_gain"} <= set(model.history.history)
        assert model.soft_labels.shape == (20, 2)
        np.testing.assert_allclose(model.soft_labels.sum(axis=1), 1, atol=1e-5)

    def test_it_consumes_no_reference_by_itself(self, distilled):
        assert distilled.consumes_reference is False

    def test_a_student_without_its_defence_is_refused(self, members):
        model = SplitDistillation(
            classifier, submodels=2, held_out=1, wrap_student=lambda student: student.target_model
        )
        with pytest.raises(
            ValueError, match="wrap_student must return a training defence around the student"
        ):
            model.fit(*members, epochs=1, verbose=0)

    def test_nothing_before_fit(self):
        model = SplitDistillation(classifier)
        for name in ("target_model", "soft_labels", "membership", "history"):
            with pytest.raises(RuntimeError, match="call fit first"):
                getattr(model, name)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"submodels": 1}, "submodels must be a whole number, at least 2. Received: submodels=1"),
            ({"held_out": 0}, "held_out must be a whole number, at least 1. Received: held_out=0"),
            (
                {"submodels": 4, "held_out": 4},
                "held_out must be below submodels: .* Received: held_out=4, submodels=4",
            ),
            ({"distill_epochs": 0}, "distill_epochs must be a whole number, at least 1"),
            ({"temperature": 0}, "temperature must be a number above 0, .* Received: temperature=0"),
            ({"temperature": True}, "temperature must be a number above 0, .* Received: temperature=True"),
            ({"copies": 8}, "copies must be a function of records .* Received: 8"),
            ({"wrap_student": mlp()}, "wrap_student must be a function of the student"),
            ({"seed": -1}, "seed must be a whole number, at least 0. Received: seed=-1"),
        ],
    )
    def test_options_are_checked_at_the_door(self, options, words):
        with pytest.raises(ValueError, match=words):
            SplitDistillation(classifier, **options)

    def test_a_model_is_no_function_that_builds_one(self):
        with pytest.raises(TypeError, match="build_fn must be a function that returns a compiled model"):
            SplitDistillation(classifier())


class TestCopies:
    def test_features_are_erased_and_never_changed(self):
        x = 1 + np.random.default_rng(0).random((200, 500))
        found = list(Erased(0.6, copies=3, seed=1)(x))
        assert len(found) == 3
        erased = np.stack([copy == 0 for copy in found])
        for copy, gone in zip(found, erased, strict=True):
            np.testing.assert_array_equal(copy[~gone], x[~gone])
        shares = erased.mean(axis=2)
        # Each copy of each record has its own share, evenly drawn from 0 to 0.6; features go independently.
        assert scipy.stats.kstest(shares.ravel(), scipy.stats.uniform(0, 0.6).cdf).statistic < 0.08
        assert np.abs(np.corrcoef(erased[0][:, :20].T)[np.triu_indices(20, 1)]).mean() < 0.15
        again = list(Erased(0.6, copies=3, seed=1)(x))
        np.testing.assert_array_equal(found, again)

    def test_several_inputs_keep_their_types(self):
        x = {"a": np.arange(1, 7).reshape(6, 1), "b": np.ones((6, 2, 3), np.float32)}
        joined, count = join_copies(Erased(copies=4), x)
        assert count == 4
        assert {name: (array.shape, array.dtype) for name, array in joined.items()} == {
            "a": ((24, 1), x["a"].dtype),
            "b": ((24, 2, 3), np.float32),
        }

    def test_copies_of_other_records_are_refused(self):
        with pytest.raises(ValueError, match=r"arrays of shapes \[\(4, 2\)\]. Received shapes \[\(3, 2\)\]"):
            join_copies(lambda x: [x[:3]], np.ones((4, 2)))
        with pytest.raises(ValueError, match="copies must yield at least one altered copy"):
            join_copies(lambda x: [], np.ones((4, 2)))

    @pytest.mark.parametrize("most", [0, 1, True, "half"])
    def test_a_share_is_a_share(self, most):
        with pytest.raises(ValueError, match=f"most must be above 0 and below 1. Received: most={most!r}"):
            Erased(most)


class TestTemperature:
    @pytest.mark.parametrize("temperature", [0.5, 1, 3.0])
    def test_it_divides_logits(self, temperature):
        logits = np.random.default_rng(0).normal(size=(6, CLASSES)) * 20
        softened = soften(scipy.special.softmax(logits, axis=1), temperature)
        np.testing.assert_allclose(softened, scipy.special.softmax(logits / temperature, axis=1), rtol=1e-4)
        assert softened.dtype == np.float32


class TestDistillToReference:
    def test_the_student_never_sees_a_member(self):
        count = 24
        x, y = np.eye(count, dtype=np.float32), records(count)[1]
        model = DistillToReference(memorizer(count), (x[12:], one_hot(y[12:])), distill_epochs=3)
        model.fit(x[:12], one_hot(y[:12]), epochs=3, batch_size=4, verbose=0)
        (weights,) = model.target_model.get_weights()
        assert not weights[:12].any()

    def test_the_student_learns_what_the_teacher_answers_to_the_reference(self, referred, split):
        keras.utils.set_random_seed(3)
        teacher = classifier()
        teacher.fit(*split.members, epochs=4, batch_size=128, verbose=0)
        answers = np.asarray(teacher(split.reference[0]))
        np.testing.assert_allclose(referred.soft_labels, answers, atol=1e-5)
        assert referred.consumes_reference
        assert referred.chosen.tolist() == list(range(30))

    def test_it_may_see_the_surest_answers_alone(self, referred, split):
        options = {"num_reference": 10, "temperature": 2.0, "seed": 3}
        model = DistillToReference(classifier, split.reference, **options)
        model.fit(*split.members, epochs=4, verbose=0)
        entropy = scipy.stats.entropy(referred.soft_labels, axis=1)
        assert model.chosen.tolist() == sorted(np.argsort(entropy)[:10])
        softer = soften(referred.soft_labels[model.chosen], 2.0)
        np.testing.assert_allclose(model.soft_labels, softer, atol=1e-5)

    def test_sure_answers_come_first_even_where_a_probability_is_zero(self):
        answers = read_answers([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.2, 0.6]], [0, 0, 0])
        assert lowest_entropy_rows(answers, 2).tolist() == [0, 1]

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (
                {"num_reference": 31},
                "num_reference must be at most the number of reference records, 30. Received: num_reference=31",
            ),
            ({"num_reference": 0}, "num_reference must be a whole number, at least 1"),
            ({"distill_epochs": 0}, "distill_epochs must be a whole number, at least 1"),
            ({"temperature": -1.0}, "temperature must be a number above 0"),
        ],
    )
    def test_options_are_checked_at_the_door(self, split, options, words):
        with pytest.raises(ValueError, match=words):
            DistillToReference(classifier, split.reference, **options)

    def test_reference_must_be_records(self):
        with pytest.raises(ValueError, match=r"reference must be a pair \(x, y\)"):
            DistillToReference(classifier, None)


def test_options_are_taken_by_their_old_names(split):
    with pytest.warns(DeprecationWarning, match="the argument out is now held_out"):
        SplitDistillation(classifier, submodels=4, out=2)
    with pytest.warns(DeprecationWarning, match="the argument surest is now num_reference"):
        DistillToReference(model_fn=classifier, reference=split.reference, surest=2)

"""Shadow models, what an attacker has beyond answers, and evaluations that need it."""

import keras
import numpy as np
import pytest
from scipy import special
from sklearn.linear_model import LogisticRegression
from support import CLASSES, FEATURES, mlp, split_of

import mpreg
from mpreg import signals
from mpreg.attacks import (
    NEEDS,
    Access,
    Attack,
    PreparedAttack,
    ThresholdAttack,
    cross_fit,
    draw_membership,
    suite,
)
from mpreg.signals.answers import BLOCK


def pool_of(split):
    return (np.concatenate([split.members[i], split.nonmembers[i]]) for i in (0, 1))


def compiled():
    model = mlp()
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def random_shadows(models=4, pool=90, seed=0):
    rng = np.random.default_rng(seed)
    predictions = rng.dirichlet(np.ones(CLASSES), (models, pool)).astype("float32")
    return mpreg.ShadowModels(
        draw_membership(models, pool, pool // 2), predictions, rng.integers(0, CLASSES, pool)
    )


class InShare(PreparedAttack):
    """Scores a record by how often it was in a shadow model: no attack, but easy to foretell."""

    name = "in share"
    needs = frozenset({"shadows"})

    def score_all(self, access):
        return access.shadows.membership.mean(axis=0)


class Needs(Attack):
    threshold = 0.5
    learns = False

    def __init__(self, *needs):
        self.name, self.needs = "needy", frozenset(needs)

    def fit(self, members, nonmembers, *, seed=0):
        return self

    def score(self, answers):
        return signals.correctness(answers)


class TestValues:
    WANTED = (signals.logit_confidence, signals.softened_loss(2.0), signals.entropy, signals.modified_entropy)

    def models(self, predictions, **options):
        rng = np.random.default_rng(1)
        labels = rng.integers(0, predictions.shape[2], predictions.shape[1])
        return mpreg.ShadowModels(
            draw_membership(2, len(labels), len(labels) // 2), predictions, labels, **options
        )

    @pytest.mark.parametrize("records", [4, BLOCK, 2 * BLOCK + 1])
    @pytest.mark.parametrize("kind", ["logits", "probabilities", "coarse"])
    def test_they_are_those_of_all_answers_bit_for_bit(self, records, kind):
        logits = 3 * np.random.default_rng(0).normal(size=(2, records, 7)).astype("float32")
        p = special.softmax(logits, axis=2)
        given = {"logits": logits, "probabilities": p, "coarse": np.round(p, 1)}[kind]
        shadows = self.models(given, from_logits=kind == "logits", coarse=kind == "coarse")
        answers = shadows.answers(1)
        np.testing.assert_array_equal(
            shadows.values(1, self.WANTED), [signal(answers) for signal in self.WANTED]
        )

    def test_a_bad_row_has_its_place_among_all(self):
        logits = np.random.default_rng(0).normal(size=(2, 3 * BLOCK, 3))
        shadows = self.models(logits, from_logits=True)
        logits[1, 2 * BLOCK + 5, 2] = np.nan
        shadows.values(0, self.WANTED)
        with pytest.raises(
            ValueError, match=f"1 predictions hold NaN or infinite values.* row {2 * BLOCK + 5}"
        ):
            shadows.values(1, self.WANTED)

    def test_rows_that_look_like_probabilities_are_logits_among_others(self):
        logits = np.random.default_rng(0).normal(size=(2, BLOCK + 1, 2))
        logits[:, -1] = 0.25, 0.75  # in a block by itself
        shadows = self.models(logits, from_logits=True)
        expected = signals.loss(shadows.answers(0))
        np.testing.assert_array_equal(shadows.values(0, [signals.loss])[0], expected)


class TestSizes:
    def report(self, members, nonmembers, size):
        rng = np.random.default_rng(0)
        pool = members + nonmembers
        drawn = np.array([rng.permutation(pool) < size for _ in range(4)])
        answers, labels = rng.dirichlet(np.ones(3), (5, pool)), rng.integers(0, 3, pool)
        shadows = mpreg.ShadowModels(drawn, answers[1:], labels)
        sides = answers[0, :members], labels[:members], answers[0, members:], labels[members:]
        return mpreg.evaluate_predictions(*sides, attacks=["gap"], shadows=shadows)

    def test_models_of_another_size_than_the_target_are_named(self):
        (note,) = self.report(100, 800, 225).notes
        assert note.startswith("The shadow models were trained on 225 records each, the target on 100: ")
        assert note in str(self.report(100, 800, 225))

    @pytest.mark.parametrize("size", [76, 100, 125])
    def test_about_the_same_size_needs_no_word(self, size):
        assert self.report(100, 110, size).notes == ()


class TestDrawMembership:
    @pytest.mark.parametrize(
        ("count", "pool", "members"),
        [
            (16, 100, 50),
            (7, 101, 43),
            (2, 10, 5),
            (16, 90, 33),
            (16, 900, 113),
            (16, 900, 787),
            (64, 900, 50),
        ],
    )
    def test_equal_sizes_and_equal_turns(self, count, pool, members):
        drawn = draw_membership(count, pool, members, seed=1)
        assert set(drawn.sum(axis=1)) == {members}
        turns = drawn.sum(axis=0)
        assert turns.max() - turns.min() <= 1

    @pytest.mark.parametrize(("members", "size"), [(1, 13), (99, 87)])
    def test_a_lopsided_split_still_leaves_every_record_in_and_out(self, members, size):
        drawn = draw_membership(16, 100, members)
        assert set(drawn.sum(axis=1)) == {size}
        assert drawn.sum(axis=0).min() > 0 and drawn.sum(axis=0).max() < 16

    @pytest.mark.parametrize("count", [4, 5, 8, 16, 64])
    @pytest.mark.parametrize("pool", [9, 10, 11, 1597])
    @pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.99])
    def test_every_record_is_in_two_models_and_out_of_two(self, count, pool, share):
        turns = draw_membership(count, pool, max(1, int(share * pool))).sum(axis=0)
        assert turns.min() >= 2 and (count - turns).min() >= (2 if pool % 2 == 0 else 1)

    @pytest.mark.parametrize("count", [2, 3])
    @pytest.mark.parametrize("pool", [2, 3, 10, 11, 1397])
    def test_of_few_models_every_record_is_in_one_and_out_of_one(self, count, pool):
        turns = draw_membership(count, pool, max(1, pool // 3)).sum(axis=0)
        assert turns.min() >= 1 and turns.max() < count

    def test_it_follows_its_seed_and_not_the_order_of_the_pool(self):
        drawn = draw_membership(64, 200, 100, seed=3)
        np.testing.assert_array_equal(drawn, draw_membership(64, 200, 100, seed=3))
        assert (drawn != draw_membership(64, 200, 100, seed=4)).any()
        halves = drawn[:, :100].sum(axis=1)  # 50 expected, with a deviation of 5
        assert 10 < halves.std() ** 2 < 60 and abs(halves.mean() - 50) < 3


class TestShadowModels:
    def test_answers_are_those_of_each_model(self):
        shadows = random_shadows()
        for index in range(len(shadows)):
            np.testing.assert_allclose(
                shadows.answers(index).probabilities, shadows.predictions[index], rtol=1e-5
            )

    def test_through_an_output_defence_the_attacker_sees_what_is_served(self):
        def halve(probabilities):
            return np.round(probabilities, 1)

        shadows = random_shadows()
        served = shadows.with_outputs(halve)
        for index in range(len(shadows)):
            np.testing.assert_allclose(
                served.answers(index).probabilities, np.round(shadows.predictions[index], 1), atol=1e-7
            )
        assert served.membership is shadows.membership and not served.can_be_queried

    def test_logits_are_recognized_for_all_models_alike(self):
        shadows = random_shadows()
        logits = 5 * np.log(shadows.predictions)
        other = mpreg.ShadowModels(shadows.membership, logits, shadows.labels)
        expected = np.exp(logits[0]) / np.exp(logits[0]).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(other.answers(0).probabilities, expected, rtol=1e-5)

    def test_they_answer_to_other_records_where_they_can(self):
        split = split_of(40, 50, 20)
        x, y = pool_of(split)
        shadows = mpreg.ShadowTraining(lambda x, y, seed: LogisticRegression().fit(x, y), count=3).train(
            x, y, membership=draw_membership(3, 90, 40)
        )
        for answers, own in zip(shadows.query(x[:7], y[:7]), shadows.predictions, strict=True):
            np.testing.assert_allclose(answers.probabilities, own[:7], rtol=1e-6)
        with pytest.raises(ValueError, match="cannot be queried"):
            next(random_shadows().query(x, y))


class TestTraining:
    def test_a_training_function_sees_its_records_and_a_seed_of_its_own(self):
        split, seen = split_of(40, 50, 20), []

        def train(x, y, seed):
            seen.append((x, y, seed))
            return LogisticRegression().fit(x, y)

        x, y = pool_of(split)
        membership = draw_membership(3, len(y), 40)
        shadows = mpreg.ShadowTraining(train, count=3).train(x, y, membership=membership, seed=5)
        for (own_x, own_y, _), chosen in zip(seen, membership, strict=True):
            np.testing.assert_array_equal(own_x, x[chosen])
            np.testing.assert_array_equal(own_y, y[chosen])
        assert len({seed for _, _, seed in seen}) == 3
        assert shadows.predictions.shape == (3, 90, CLASSES)

    def test_a_fleet_memorizes_its_own_records(self):
        split = split_of(40, 50, 20)
        x, y = pool_of(split)

        def build():
            model = mlp(hidden=64)
            model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
            return model

        membership = draw_membership(4, len(y), 40)
        shadows = mpreg.ShadowFleet(build, count=4, epochs=60, batch_size=16).train(
            x, y, membership=membership
        )
        right = shadows.predictions.argmax(axis=2) == y
        assert right[membership].mean() > right[~membership].mean() + 0.2
        assert shadows.seconds > 0 and shadows.how

    def test_a_fitted_keras_model_tells_how_it_was_trained(self):
        split = split_of(40, 50, 20)
        model = compiled()
        model.fit(*split.members, epochs=3, batch_size=16, verbose=0)
        recipe = mpreg.ShadowFleet.like(model, members=40, count=5)
        assert (recipe.count, recipe.epochs) == (5, 3)
        assert -(-40 // recipe.batch_size) == 3  # as many steps an epoch as the target took
        fresh, other = recipe.build_fn(), recipe.build_fn()
        assert fresh.compiled and fresh is not model
        kernels = [each.get_weights()[0] for each in (model, fresh, other)]
        assert {kernel.shape for kernel in kernels} == {kernels[0].shape}
        assert (kernels[1] != kernels[2]).any()  # although the target's initializer has a seed
        assert (fresh.layers[0].activation, fresh.count_params()) == (
            model.layers[0].activation,
            model.count_params(),
        )

    def test_one_that_does_not_tell_is_refused_with_what_to_do(self):
        with pytest.raises(ValueError, match="ShadowFleet.*ShadowTraining"):
            mpreg.ShadowFleet.like(compiled(), members=40)


class TestEvaluate:
    @pytest.fixture(scope="class")
    @classmethod
    def split(cls):
        return split_of(40, 50, 20)

    def test_shadow_models_are_trained_once_and_their_cost_is_stated(self, split):
        trained = []

        def train(x, y, seed):
            trained.append(seed)
            return LogisticRegression().fit(x, y)

        other = InShare()
        other.name = "another"
        model = LogisticRegression().fit(*split.members)
        report = mpreg.evaluate(
            model, split, attacks=[InShare(), other], shadows=mpreg.ShadowTraining(train, count=4)
        )
        assert len(trained) == 4
        assert report.cost["shadow_models"] == 4 and report.cost["shadow_seconds"] >= 0
        assert "4 shadow models" in report.to_markdown() and report.to_dict()["cost"] == report.cost
        scores = report.attacks["in share"].member_scores
        membership = draw_membership(4, 90, 40, seed=0)
        np.testing.assert_allclose(scores, membership.mean(axis=0)[:40])

    @pytest.mark.slow
    def test_strong_needs_nothing_more_of_a_model_that_was_fitted_here(self):
        split = split_of(32, 32, 20)  # whole batches alone: one step to trace
        model = compiled()
        model.fit(*split.members, epochs=2, batch_size=16, verbose=0)
        report = mpreg.evaluate(model, split, attacks="strong")
        assert {attack.name for attack in suite("strong")} == set(report.attacks)
        assert report.cost["shadow_models"] == 16 and report.cost["queries"] > 0
        (note,) = report.notes  # of what the target does not tell; all attacks could be tried
        assert "trained as the target tells" in note
        without = mpreg.MembershipSplit(split.members, None, split.nonmembers)
        shadows = mpreg.ShadowTraining(lambda x, y, seed: LogisticRegression().fit(x, y), count=4)
        other = mpreg.evaluate(
            LogisticRegression().fit(*split.members), without, attacks="strong", shadows=shadows
        )
        assert set(other.attacks) == set(report.attacks)

    def test_attacks_of_a_named_suite_that_lack_something_are_left_out_with_a_note(self, split):
        shadows, y = random_shadows(), random_shadows().labels
        p = np.random.default_rng(0).dirichlet(np.ones(3), 90)
        sides = p[:40], y[:40], p[40:], y[40:]
        report = mpreg.evaluate_predictions(*sides, attacks="strong", shadows=shadows)
        assert "label-only" not in report.attacks and "likelihood ratio" in report.attacks
        records, queries = "the judged records themselves", " and queries to the model"
        assert report.notes == tuple(
            f"Attack {name!r} needs {records}{more}: left out."
            for name, more in (
                ("imitation", ""),
                ("label-only", queries),
                ("moved queries", queries),
                ("quantile regression", ""),
            )
        )
        assert report.notes[0] in report.to_markdown()

    def test_ready_shadow_models_serve_predictions_of_any_framework(self, split):
        shadows = random_shadows()
        rng = np.random.default_rng(0)
        p, q = rng.dirichlet(np.ones(3), 40), rng.dirichlet(np.ones(3), 50)
        y = shadows.labels
        report = mpreg.evaluate_predictions(p, y[:40], q, y[40:], attacks=[InShare()], shadows=shadows)
        np.testing.assert_allclose(
            report.attacks["in share"].nonmember_scores, shadows.membership.mean(axis=0)[40:]
        )

    @pytest.mark.parametrize("need", sorted(NEEDS))
    def test_what_an_attack_lacks_is_named(self, split, need):
        y = split.members[1]
        p = np.full((len(y), CLASSES), 1 / CLASSES)
        with pytest.raises(ValueError, match=f"'needy' needs {NEEDS[need][:12]}"):
            mpreg.evaluate_predictions(p, y, p, y, attacks=[Needs(need)])

    def test_an_evaluation_of_a_model_has_all_but_shadow_models(self, split):
        model = LogisticRegression().fit(*split.members)
        mpreg.evaluate(model, split, attacks=[Needs("records", "model", "population")])

    def test_queries_are_counted(self, split):
        class Curious(Needs):
            def prepare(self, access):
                access.query(np.zeros((11, FEATURES), "float32"), np.zeros(11, int))

        model = LogisticRegression().fit(*split.members)
        report = mpreg.evaluate(model, split, attacks=[Curious("model")])
        assert report.cost["queries"] == 11 and "11 more records" in report.to_markdown()


class TestAccess:
    def test_the_pool_is_members_first(self):
        split = split_of(40, 50, 20)
        both = [signals.read_answers(np.eye(CLASSES)[y], y) for _, y in (split.members, split.nonmembers)]
        access = Access(*both)
        assert len(access) == 90
        np.testing.assert_array_equal(access.answers.labels, [*split.members[1], *split.nonmembers[1]])
        found = cross_fit(InShare(), *both, scores=np.arange(90.0))
        np.testing.assert_array_equal(found.member_scores, np.arange(40))
        np.testing.assert_array_equal(found.nonmember_scores[[3, 1]], [43, 41])
        with pytest.raises(ValueError, match="one score a record"):
            cross_fit(InShare(), *both, scores=np.arange(89.0))
        with pytest.raises(ValueError, match="'in share' judges by more than the answers: .*prepare"):
            cross_fit(InShare(), *both)

    def test_signals_of_shadow_models_are_computed_once(self, monkeypatch):
        shadows, asked = random_shadows(models=3, pool=90), []
        values = shadows.values
        monkeypatch.setattr(shadows, "values", lambda *args: asked.append(args) or values(*args))
        p = np.full((45, CLASSES), 1 / CLASSES)
        access = Access(*(signals.read_answers(p, y) for y in np.split(shadows.labels, 2)), shadows=shadows)
        access.shadow_values(signals.loss)
        loss, entropy = access.shadow_values(signals.loss, signals.entropy)
        told = [(model, [signal]) for signal in (signals.loss, signals.entropy) for model in range(3)]
        assert sorted(asked[:3]) + sorted(asked[3:]) == told
        np.testing.assert_array_equal(loss, [signals.loss(shadows.answers(model)) for model in range(3)])
        np.testing.assert_array_equal(
            entropy, [signals.entropy(shadows.answers(model)) for model in range(3)]
        )
        with pytest.raises(ValueError, match="read-only"):
            loss[0] = 0.0

    def test_an_attack_may_learn_from_rows_that_it_prepared(self):
        """Each fold is judged by rows of the others: the rows themselves come back, members first."""

        class Signs(Attack):
            name = "signs"

            def fit(self, members, nonmembers, *, seed=0):
                assert members.shape[1:] == nonmembers.shape[1:] == (2,)
                self.known = {*members[:, 0], *nonmembers[:, 0]}
                self.threshold = 0.0
                return self

            def score(self, rows):
                assert not self.known & {*rows[:, 0]}
                return rows[:, 1]

        split = split_of(40, 50, 20)
        both = [signals.read_answers(np.eye(CLASSES)[y], y) for _, y in (split.members, split.nonmembers)]
        rows = np.column_stack([np.arange(90.0), np.tile([1.0, -1.0], 45)])
        found = cross_fit(Signs(), *both, scores=rows)
        np.testing.assert_array_equal([*found.member_scores, *found.nonmember_scores], rows[:, 1])
        np.testing.assert_array_equal(found.member_decisions, rows[:40, 1] > 0)


class TestRecords:
    @pytest.fixture(scope="class")
    @classmethod
    def report(cls):
        rng = np.random.default_rng(0)
        y, z = rng.integers(0, 4, 60), rng.integers(0, 3, 70)  # class 3 has members alone
        p, q = rng.dirichlet(np.ones(4), 60), rng.dirichlet(np.ones(4), 70)
        return mpreg.evaluate_predictions(p, y, q, z, attacks=[ThresholdAttack("loss")]), (y, z), (p, q)

    def test_the_most_vulnerable_are_the_highest_scores_with_their_share_of_false_alarms(self, report):
        report, (y, _), _ = report
        found = report.most_vulnerable(60, attack="loss threshold")
        result = report.attacks["loss threshold"]
        assert sorted(record.index for record in found) == list(range(60))
        assert [record.score for record in found] == sorted(result.member_scores, reverse=True)
        for record in found:
            assert record.label == y[record.index]
            assert record.score == result.member_scores[record.index]
            assert record.fpr == pytest.approx(np.mean(result.nonmember_scores >= record.score))
            assert record.called_member == result.member_decisions[record.index]

    def test_leakage_per_class_is_that_of_its_records_alone(self, report):
        report, (y, z), (p, q) = report
        result = report.attacks["loss threshold"]
        found = {leak.label: leak for leak in report.leakage_per_class(attack="loss threshold")}
        assert sorted(found) == [0, 1, 2, 3]
        for label, leak in found.items():
            own, other = y == label, z == label
            assert (leak.members, leak.nonmembers) == (own.sum(), other.sum())
            assert leak.train_accuracy == pytest.approx(np.mean(p[own].argmax(axis=1) == label))
            if not other.any():
                assert np.isnan(leak.attack_accuracy) and np.isnan(leak.test_accuracy)
                continue
            assert leak.test_accuracy == pytest.approx(np.mean(q[other].argmax(axis=1) == label))
            tpr, tnr = result.member_decisions[own].mean(), 1 - result.nonmember_decisions[other].mean()
            assert float(leak.attack_accuracy) == pytest.approx((tpr + tnr) / 2)
            assert leak.attack_accuracy.low < leak.attack_accuracy < leak.attack_accuracy.high

    def test_unknown_attacks_are_refused(self, report):
        with pytest.raises(ValueError, match="attack must be one of .*'gap'.*Received: 'lira'"):
            report[0].most_vulnerable(attack="lira")

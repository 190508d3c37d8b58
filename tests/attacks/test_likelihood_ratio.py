"""The attacks that read shadow models, against loops that follow the papers, and in worlds whose truth is known."""

import numpy as np
import pytest
from scipy import stats

from mpreg import metrics, signals
from mpreg.attacks.access import Access
from mpreg.attacks.crossfit import cross_fit
from mpreg.attacks.instance_threshold import InstanceThresholdAttack
from mpreg.attacks.likelihood_ratio import FEW, MIN_STD, LikelihoodRatioAttack
from mpreg.attacks.relative import DEFAULT_SHARE, SHARES, TEMPERATURES, TRIED_ON, RelativeAttack
from mpreg.attacks.shadow.training import draw_membership
from mpreg.attacks.threshold import ThresholdAttack
from mpreg.signals import read_answers

ATTACKS = [
    LikelihoodRatioAttack(),
    LikelihoodRatioAttack(shared_variance=False),
    LikelihoodRatioAttack(online=False),
    RelativeAttack(),
    RelativeAttack(online=False),
    InstanceThresholdAttack(),
]
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)


def answers_of(confidences, labels):
    """Answers in two classes whose logit-scaled confidences are these."""
    logits = np.zeros((len(labels), 2))
    logits[np.arange(len(labels)), labels] = confidences
    return read_answers(logits, labels, from_logits=True)


class Shadows:
    """Shadow models that answer with given confidences, to the pool and to what they are asked."""

    def __init__(self, membership, confidences, labels, *, query=None):
        self.membership, self._confidences, self._labels, self._query = membership, confidences, labels, query

    def __len__(self):
        return len(self.membership)

    def values(self, model, wanted):
        answers = answers_of(self._confidences[model], self._labels)
        return [signal(answers) for signal in wanted]

    @property
    def can_be_queried(self):
        return self._query is not None

    def query(self, x, labels):
        for confidences in self._query(x):
            yield answers_of(confidences, labels)


class World:
    """Records whose confidence is normal: about their own mean, and higher by their own gain in models trained on them.

    An input is the record's number and, in the second column, which alteration of it this is.
    """

    def __init__(self, *, members=60, nonmembers=50, models=12, spreads=(0.6, 1.2), difficulty=3.0, seed=0):
        rng = np.random.default_rng(seed)
        count = members + nonmembers
        self.members = members
        self.labels = rng.integers(0, 2, count)
        self.membership = draw_membership(models, count, members, seed=seed)
        out = rng.normal(0, difficulty, (4, count))
        self.means = np.stack([out, out + rng.exponential(2.0, (4, count))])
        self.spreads = spreads
        self.shadows = np.stack([self.draw(self.membership, at, rng) for at in range(4)])
        self.target = np.stack([self.draw(np.arange(count) < members, at, rng) for at in range(4)])

    def draw(self, trained, at, rng):
        spread = np.where(trained, *self.spreads)
        return np.where(trained, self.means[1, at], self.means[0, at]) + spread * rng.normal(
            size=trained.shape
        )

    @property
    def records(self):
        return np.stack([np.arange(len(self.labels)), np.zeros(len(self.labels), int)], axis=1)

    def access(self, *, askable=True, **changes):
        def of_target(x):
            logits = np.zeros((len(x), 2))
            logits[np.arange(len(x)), self.labels[x[:, 0]]] = self.target[x[:, 1], x[:, 0]]
            return logits

        def of_shadows(x):
            return self.shadows[x[:, 1], :, x[:, 0]].T

        m = self.members
        given = {
            "inputs": (self.records[:m], self.records[m:]),
            "query": of_target,
            "shadows": Shadows(
                self.membership, self.shadows[0], self.labels, query=of_shadows if askable else None
            ),
            "prediction_options": {"from_logits": True},
        }
        return Access(
            answers_of(self.target[0, :m], self.labels[:m]),
            answers_of(self.target[0, m:], self.labels[m:]),
            **{**given, **changes},
        )

    def permuted(self, rows, models):
        other = object.__new__(World)
        other.__dict__.update(self.__dict__)
        other.labels, other.target = self.labels[rows], self.target[:, rows]
        other.membership, other.shadows = (
            self.membership[models][:, rows],
            self.shadows[:, models][:, :, rows],
        )
        return other


def alterations(x):
    """Three altered copies of each record."""
    for at in (1, 2, 3):
        yield x + np.array([0, at])


def sides(access, scores):
    return scores[: len(access.members)], scores[len(access.members) :]


def naive_likelihood_ratio(target, shadows, membership, *, online, shared):
    """Algorithm 1 record by record; a shared variance is the pooled one of an analysis of variance."""

    def normals(chosen):
        groups = [shadows[chosen[:, record], record] for record in range(len(target))]
        within = sum(sum((value - np.mean(group)) ** 2 for value in group) for group in groups)
        pooled = np.sqrt(within / sum(len(group) - 1 for group in groups))
        own = [np.std(group, ddof=1) if len(group) > 1 else pooled for group in groups]
        return [(np.mean(group), pooled if shared else std) for group, std in zip(groups, own, strict=True)]

    scores = []
    for record, (out_mean, out_std) in enumerate(normals(~membership)):
        if online:
            in_mean, in_std = normals(membership)[record]
            scores.append(
                stats.norm.logpdf(target[record], in_mean, in_std)
                - stats.norm.logpdf(target[record], out_mean, out_std)
            )
        else:
            scores.append(stats.norm.cdf(target[record], out_mean, out_std))
    return np.array(scores)


class TestLikelihoodRatio:
    @pytest.mark.parametrize("shared", [True, False])
    def test_online_as_in_the_paper(self, shared):
        world = World(members=9, nonmembers=8)
        expected = naive_likelihood_ratio(
            world.target[0], world.shadows[0], world.membership, online=True, shared=shared
        )
        scores = LikelihoodRatioAttack(shared_variance=shared).score_all(world.access())
        np.testing.assert_allclose(scores, expected, rtol=1e-9)

    @pytest.mark.parametrize("shared", [True, False])
    def test_offline_is_the_one_sided_probability(self, shared):
        world = World(members=9, nonmembers=8)
        expected = naive_likelihood_ratio(
            world.target[0], world.shadows[0], world.membership, online=False, shared=shared
        )
        scores = LikelihoodRatioAttack(online=False, shared_variance=shared).score_all(world.access())
        np.testing.assert_allclose(stats.norm.cdf(scores), expected, rtol=1e-9)

    @pytest.mark.parametrize("online", [True, False])
    def test_queries_are_averaged_each_with_its_own_normals(self, online):
        world = World(members=9, nonmembers=8, spreads=(1.2, 2.4))
        each = [
            naive_likelihood_ratio(target, shadows, world.membership, online=online, shared=True)
            for target, shadows in zip(world.target, world.shadows, strict=True)
        ]
        access = world.access()
        scores = LikelihoodRatioAttack(online=online, augment=alterations).score_all(access)
        expected = np.mean(each if online else stats.norm.ppf(each), axis=0)
        np.testing.assert_allclose(scores, expected, rtol=1e-6)
        assert access.queries == 3 * len(access)

    def test_out_models_alone_decide_the_out_variance(self):
        """With a shared variance too: the mean squared standard score of non-members is then one."""
        world = World(members=300, nonmembers=300, models=20, spreads=(0.1, 2.0))
        access = world.access()
        _, scores = sides(access, LikelihoodRatioAttack(online=False, shared_variance=True).score_all(access))
        assert np.mean(scores**2) == pytest.approx(1.0 + 1 / 10, rel=0.25)  # and the error of a mean of 10
        before = LikelihoodRatioAttack(online=False).score_all(access)
        world.shadows[0][world.membership] *= 5.0
        np.testing.assert_array_equal(LikelihoodRatioAttack(online=False).score_all(world.access()), before)

    @pytest.mark.parametrize("models", [FEW - 1, FEW])
    def test_few_models_share_their_variances(self, models):
        access = World(members=10, nonmembers=10, models=models).access()
        usual, shared, own = (
            LikelihoodRatioAttack(shared_variance=how).score_all(access) for how in (None, True, False)
        )
        np.testing.assert_array_equal(usual, shared if models < FEW else own)
        assert np.abs(shared - own).max() > 0.1

    def test_it_comes_near_the_best_possible_attack_where_a_threshold_does_not(self):
        world = World(members=1000, nonmembers=1000, models=FEW)
        access = world.access()
        densities = [
            stats.norm.logpdf(world.target[0], mean[0], spread)
            for mean, spread in zip(world.means[::-1], world.spreads, strict=True)
        ]
        best = densities[0] - densities[1]
        found = {"best": best, "loss": signals.loss(access.answers)} | {
            attack.name: attack.score_all(access) for attack in ATTACKS
        }
        tpr = {name: metrics.tpr_at_fpr(*sides(access, scores), fpr=0.01) for name, scores in found.items()}
        assert tpr["best"] > 0.3
        assert tpr["likelihood ratio"] > tpr["best"] - 0.1
        assert 2 * tpr["loss"] < tpr["likelihood ratio"]
        areas = {name: metrics.auc(*sides(access, scores)) for name, scores in found.items()}
        assert all(areas[attack.name] > areas["loss"] + 0.05 for attack in ATTACKS), areas

    def test_a_record_of_one_model_borrows_the_variance_of_all(self):
        world = World(members=9, nonmembers=8)
        world.membership[:, 0] = False
        world.membership[2, 0] = True
        scores = LikelihoodRatioAttack(shared_variance=False).score_all(world.access())
        expected = naive_likelihood_ratio(
            world.target[0], world.shadows[0], world.membership, online=True, shared=False
        )
        np.testing.assert_allclose(scores, expected, rtol=1e-9)

    def test_models_that_agree_exactly_give_no_certainty(self):
        world = World()
        world.shadows[0] = np.where(world.membership, 2.0, 1.0)
        world.target[0] = 2.0
        scores = LikelihoodRatioAttack().score_all(world.access())
        np.testing.assert_allclose(scores, 0.5 * MIN_STD**-2, rtol=1e-6)

    def test_names_tell_the_variants_apart(self):
        options = [
            {},
            {"online": False},
            {"augment": alterations},
            {"shared_variance": True},
            {"shared_variance": False},
        ]
        assert len({LikelihoodRatioAttack(**option).name for option in options}) == len(options)
        assert LikelihoodRatioAttack().needs == {"shadows"}
        assert LikelihoodRatioAttack(augment=alterations).needs == {"shadows", "records", "model"}

    def test_what_cannot_be_is_refused(self):
        with pytest.raises(ValueError, match="augment must be a function.*Received: 3"):
            LikelihoodRatioAttack(augment=3)
        with pytest.raises(ValueError, match="augment must yield at least one altered copy"):
            LikelihoodRatioAttack(augment=lambda x: []).score_all(World().access())

    def test_a_record_that_no_model_was_trained_on_can_only_be_attacked_offline(self):
        world = World()
        world.membership[:, 7] = False
        with pytest.raises(
            ValueError, match="1 of 110 records were trained on by none of the 12 .* record 7"
        ):
            LikelihoodRatioAttack().score_all(world.access())
        assert np.isfinite(LikelihoodRatioAttack(online=False).score_all(world.access())).all()


def naive_relative(target, shadows, membership, others, *, online, gamma, share):
    """The definition, pair by pair; `others` are pairs (target, shadows) of probabilities, or None for the pool."""

    def ratio(own, of_models, trained):
        out = np.mean([p for p, t in zip(of_models, trained, strict=True) if not t])
        inside = [p for p, t in zip(of_models, trained, strict=True) if t]
        at_large = (np.mean(inside) if online and inside else share * out + 1 - share) + out
        return own / (at_large / 2)

    mine = [ratio(target[i], shadows[:, i], membership[:, i]) for i in range(len(target))]
    rivals = mine
    if others is not None:
        rivals = [
            ratio(own, each, [False] * len(each)) for own, each in zip(others[0], others[1].T, strict=True)
        ]
    return np.array([np.mean([x / z >= gamma for z in rivals]) for x in mine])


def probability(confidences, temperature=1.0):
    """Of two classes: softened, p^(1/T) / (p^(1/T) + (1 - p)^(1/T))."""
    p = 1 / (1 + np.exp(-confidences))
    p, q = p ** (1 / temperature), (1 - p) ** (1 / temperature)
    return p / (p + q)


class TestRelative:
    @pytest.mark.parametrize("online", [True, False])
    @pytest.mark.parametrize("gamma", [1.0, 1.5])
    @pytest.mark.parametrize("population", [True, False])
    @pytest.mark.parametrize("temperature", [1.0, 3.0])
    def test_as_in_the_paper_pair_by_pair(self, online, gamma, population, temperature):
        world = World(members=13, nonmembers=9, models=6)
        share = naive_share(world, temperature)
        others, access = None, world.access()
        if population:  # altered copies of the records stand for other records
            access = world.access(population=(world.records + np.array([0, 1]), world.labels))
            others = probability(world.target[1], temperature), probability(world.shadows[1], temperature)
        expected = naive_relative(
            probability(world.target[0], temperature),
            probability(world.shadows[0], temperature),
            world.membership,
            others,
            online=online,
            gamma=gamma ** (1 / temperature),
            share=share,
        )
        attack = RelativeAttack(online=online, gamma=gamma, temperature=temperature)
        scores = attack.score_all(access)
        if gamma == 1.0 and not population:
            # A record beats itself or not by rounding alone.
            np.testing.assert_allclose(scores, expected, atol=1.01 / len(scores))
            scores, expected = (stats.rankdata(values, "dense") for values in (scores, expected))
        np.testing.assert_allclose(scores, expected, atol=1e-12)
        assert access.queries == (len(access) if population else 0)

    def test_the_pool_stands_in_where_the_models_cannot_be_asked(self):
        world = World()
        population = world.records + np.array([0, 1]), world.labels
        expected = RelativeAttack().score_all(world.access())
        for access in (
            world.access(population=population, askable=False),
            world.access(population=population, query=None),
        ):
            np.testing.assert_array_equal(RelativeAttack().score_all(access), expected)

    def test_the_share_is_the_one_that_attacks_a_shadow_model_best(self):
        """Offline scores change with it: they are those of the best share and of no other."""
        world = World(members=40, nonmembers=40, models=6)
        scores = RelativeAttack(online=False, temperature=1.0).score_all(world.access())
        found = [
            share
            for share in SHARES
            if np.allclose(
                scores,
                naive_relative(
                    probability(world.target[0]),
                    probability(world.shadows[0]),
                    world.membership,
                    None,
                    online=False,
                    gamma=2.0,
                    share=share,
                ),
            )
        ]
        assert naive_share(world) in found

    def test_two_models_suffice(self):
        world = World(models=2, members=200, nonmembers=200)
        access = world.access()
        for attack in (RelativeAttack(), RelativeAttack(online=False)):
            assert metrics.auc(*sides(access, attack.score_all(access))) > 0.6

    def test_saturated_probabilities_stay_finite(self):
        world = World()
        world.shadows[0] = -900.0
        world.target[0] = np.where(np.arange(110) % 2, 900.0, -900.0)
        scores = RelativeAttack().score_all(world.access())
        assert np.isfinite(scores).all() and (scores[1::2] > scores[0]).all()

    @pytest.mark.parametrize("online", [True, False])
    def test_the_temperature_is_the_one_that_attacks_the_first_shadow_models_best(self, online):
        for seed, difficulty in enumerate((0.3, 0.3, 1.0, 1.0, 3.0, 6.0)):
            world = World(members=60, nonmembers=60, models=6, seed=seed, difficulty=difficulty)
            usual = RelativeAttack(online=online).score_all(world.access())
            best = max(
                TEMPERATURES, key=lambda t: naive_success(world, t, naive_share(world, t), online=online)
            )
            fixed = RelativeAttack(online=online, temperature=best).score_all(world.access())
            np.testing.assert_array_equal(usual, fixed)
            for another in set(TEMPERATURES) - {best}:
                scores = RelativeAttack(online=online, temperature=another).score_all(world.access())
                assert np.abs(stats.rankdata(scores) - stats.rankdata(usual)).max() > 1
            world.target = world.target[:, ::-1]  # the target is not asked which
            other = RelativeAttack(online=online, temperature=best).score_all(world.access())
            np.testing.assert_array_equal(RelativeAttack(online=online).score_all(world.access()), other)

    @pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), "warm"])
    def test_temperature_is_checked(self, temperature):
        with pytest.raises(ValueError, match=f"temperature must be .*Received: temperature={temperature!r}"):
            RelativeAttack(temperature=temperature)

    @pytest.mark.parametrize("gamma", [0.9, 0.0, float("nan"), float("inf")])
    def test_gamma_is_checked(self, gamma):
        with pytest.raises(ValueError, match=f"gamma must be .*Received: gamma={gamma}"):
            RelativeAttack(gamma=gamma)


def naive_success(world, temperature, share, *, online=False):
    """Mean of scikit-learn's AUC of the attack on each of the first models by the others; None where none tells."""
    from sklearn.metrics import roc_auc_score

    p, areas = probability(world.shadows[0], temperature), []
    for model in range(min(TRIED_ON, len(p))):
        others = [other for other in range(len(p)) if other != model]
        judged = [i for i in range(p.shape[1]) if not world.membership[others, i].all()]
        truth = [world.membership[model, i] for i in judged]
        if len(set(truth)) < 2:
            continue
        scores = []
        for i in judged:
            out = np.mean([p[other, i] for other in others if not world.membership[other, i]])
            inside = [p[other, i] for other in others if world.membership[other, i]]
            trained = np.mean(inside) if online and inside else share * out + 1 - share
            scores.append(p[model, i] / (out + trained))
        areas.append(roc_auc_score(truth, scores))
    return np.mean(areas) if areas else None


def naive_share(world, temperature=1.0):
    """The share with which the first models are attacked best by the others."""
    found = {share: naive_success(world, temperature, share) for share in SHARES}
    return DEFAULT_SHARE if None in found.values() else max(found, key=found.get)


class TestInstanceThreshold:
    def test_the_threshold_lies_midway(self):
        world = World(members=9, nonmembers=8)
        for record, score in enumerate(InstanceThresholdAttack().score_all(world.access())):
            trained, values = world.membership[:, record], world.shadows[0, :, record]
            middle = (values[trained].mean() + values[~trained].mean()) / 2
            assert score == pytest.approx(world.target[0, record] - middle)

    def test_a_record_no_model_was_trained_on_is_compared_with_the_others_alone(self):
        world = World(members=9, nonmembers=8)
        world.membership[:, 3] = False
        score = InstanceThresholdAttack().score_all(world.access())[3]
        assert score == pytest.approx(world.target[0, 3] - world.shadows[0, :, 3].mean())


class TestAll:
    @every_attack
    def test_records_and_models_in_another_order_score_the_same(self, attack):
        world = World()
        rng = np.random.default_rng(1)
        rows, models = rng.permutation(110), rng.permutation(12)
        # The first are those that are attacked to learn a share and a temperature.
        models = np.r_[:TRIED_ON, models[models >= TRIED_ON]]
        # Members among non-members: whom the target was trained on is not looked at.
        scores = attack.score_all(world.permuted(rows, models).access())
        np.testing.assert_allclose(scores, attack.score_all(world.access())[rows], rtol=1e-9)

    @every_attack
    def test_equal_records_score_the_same(self, attack):
        world = World()
        for array in (world.target, world.shadows):
            array[..., 1] = array[..., 0]
        world.membership[:, 1] = world.membership[:, 0]
        scores = attack.score_all(world.access())
        assert scores[0] == scores[1]

    @every_attack
    def test_models_that_all_answer_alike_say_nothing(self, attack):
        world = World()
        world.shadows[0] = world.target[0] = 1.5
        assert np.ptp(attack.score_all(world.access())) < 1e-9

    @every_attack
    def test_answers_of_a_single_class_stay_finite(self, attack):
        world = World()
        for array in (world.target, world.shadows):
            array[:] = np.where(array > 0, 900.0, -900.0)
        access = world.access()
        scores = attack.score_all(access)
        assert np.isfinite(scores).all() and len(set(scores)) > 2
        assert metrics.auc(*sides(access, scores)) > 0.5

    @every_attack
    def test_a_few_saturated_answers_change_little(self, attack):
        """A probability that was rounded to 0 is not evidence of seven hundred standard deviations."""
        world = World(members=400, nonmembers=400)
        before = metrics.auc(*sides(world.access(), attack.score_all(world.access())))
        for array in (world.target, world.shadows):
            array[array < -6] = -900.0
            array[array > 6] = 900.0
        after = metrics.auc(*sides(world.access(), attack.score_all(world.access())))
        assert after > before - 0.05

    @every_attack
    def test_a_record_that_all_models_were_trained_on_is_refused(self, attack):
        world = World()
        world.membership[:, 5:7] = True
        with pytest.raises(ValueError, match="2 of 110 records were trained on by all of .* record 5"):
            attack.score_all(world.access())

    @every_attack
    def test_two_shadow_models_are_enough_to_run(self, attack):
        scores = attack.score_all(World(members=20, nonmembers=20, models=2).access())
        assert np.isfinite(scores).all()

    @every_attack
    def test_cross_fitted_it_beats_a_threshold_for_all(self, attack):
        world = World(members=300, nonmembers=200, models=16)
        access = world.access()
        scores = attack.prepare(access)
        reached = [
            metrics.balanced_accuracy(verdicts.member_decisions, verdicts.nonmember_decisions)
            for verdicts in (
                cross_fit(each, access.members, access.nonmembers, scores=own)
                for each, own in ((attack, scores), (ThresholdAttack("loss"), None))
            )
        ]
        assert reached[0] > reached[1] + 0.05

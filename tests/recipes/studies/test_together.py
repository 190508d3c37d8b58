"""Shadow models of a defence trained together are those that it trains one by one."""

import dataclasses

import numpy as np
import pytest

import mpreg
from mpreg.attacks import draw_membership
from mpreg.catalogue import SETTINGS, defence_of
from mpreg.data import take
from mpreg.data.records import pool
from mpreg.recipes.studies.shadows import KeptShadows
from mpreg.recipes.studies.together import CannotTrainTogether, DefendedFleet

TINY = SETTINGS["digits"].replace(members=40, reference=40, nonmembers=40, epochs=2)
SEEDS = (4, 6)


def drawn():
    """Data, a split, and its members and non-members as one pool with the halves of two shadow models."""
    data, split = TINY.draw(0)
    x = pool(split.members[0], split.nonmembers[0])
    y = np.concatenate([split.members[1], split.nonmembers[1]])
    return data, split, x, y, draw_membership(2, len(y), 40, seed=1)


def together(defence, data, split):
    def split_of(x, y):
        return mpreg.MembershipSplit((x, y), split.reference, split.nonmembers, duplicates="allow")

    return split_of, DefendedFleet(defence, TINY, data, split_of, first_seed=100)


@pytest.mark.parametrize("name", ["confidence-penalty", pytest.param("advreg", marks=pytest.mark.slow)])
def test_models_are_those_of_the_defence_alone(name):
    """A batch holds all records, so that their order does not count."""
    defence, (data, split, x, y, membership) = defence_of(name), drawn()
    split_of, fleet = together(defence, data, split)
    models = fleet(x, y, membership, SEEDS)
    for model, own, seed in zip(models, membership, SEEDS, strict=True):
        alone = defence.train(TINY, data, split_of(*take((x, y), own)), seed=100 + seed)
        np.testing.assert_allclose(model(x), alone(x), atol=1e-5)


def test_what_is_done_after_the_fit_is_done_for_each():
    data, split, x, y, membership = drawn()
    _, fleet = together(defence_of("hamp"), data, split)
    for model in fleet(x, y, membership, SEEDS):
        assert type(model.layers[-1]).__name__ == "RankOnly"


@pytest.mark.parametrize("name", ["undefended", "selena", "dpsgd", "early-stopping", "screened-l2"])
def test_what_trains_otherwise_is_refused_before_it_trains(name, monkeypatch):
    data, split, x, y, membership = drawn()
    _, fleet = together(defence_of(name), data, split)
    monkeypatch.setattr("keras.Model.fit", None)
    with pytest.raises(CannotTrainTogether):
        next(fleet(x, y, membership, SEEDS))


def test_a_fit_with_callbacks_is_refused():
    data, split, x, y, membership = drawn()
    stopped = dataclasses.replace(defence_of("early-stopping"), name="l2")
    _, fleet = together(stopped, data, split)
    with pytest.raises(CannotTrainTogether):
        next(fleet(x, y, membership, SEEDS))


class Model:
    def predict_proba(self, x):
        return np.full((len(x), 2), 0.5)


def test_kept_shadows_train_what_is_missing_together_and_otherwise_one_by_one(tmp_path):
    asked, alone = [], []

    def at_once(x, y, membership, seeds):
        asked.append(list(seeds))
        yield from (Model() for _ in seeds)

    def never(*_):
        raise CannotTrainTogether
        yield

    x, y = np.random.default_rng(0).random((20, 3)), np.arange(20) % 2

    def train(way, folder):
        def one(x, y, seed):
            return alone.append(seed) or Model()

        kept = KeptShadows(one, tmp_path / folder, count=3, together=way)
        return kept.train(x, y, membership=draw_membership(3, 20, 10), seed=7)

    assert len(train(at_once, "fleet")) == 3 and (asked, alone) == ([[7, 8, 9]], [])
    for name in ("000.npz", "002.npz"):
        (tmp_path / "fleet" / name).unlink()
    train(at_once, "fleet")
    assert asked[1:] == [[7, 9]]
    train(never, "alone")
    assert alone == [7, 8, 9]

"""Moved queries see past noise that repeated queries do not."""

import zlib

import numpy as np
import pytest

from mpreg import metrics, signals
from mpreg.attacks import LabelOnlyAttack, MovedQueriesAttack, ThresholdAttack, suite
from mpreg.attacks.access import Access
from mpreg.signals import read_both

COUNT = 200


def overfitted(x, y, members):
    """A model of three classes that is surer of its members; `served` blurs half of the queries, by their bytes."""
    rng = np.random.default_rng(1)
    sharp = np.where(np.arange(len(y)) < members, 6.0, 2.0) + 0.5 * rng.normal(size=len(y))

    def ask(queries):
        nearest = ((queries[:, None] - x[None]) ** 2).sum(axis=2).argmin(axis=1)
        logits = np.zeros((len(queries), 3))
        logits[np.arange(len(queries)), y[nearest]] = sharp[nearest]
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    def served(queries):
        answers = ask(queries)
        blurred = np.array(
            [zlib.crc32(query.tobytes()) % 2 for query in np.asarray(queries, "float32")], bool
        )
        answers[blurred] = 0.2 + 0.4 * np.eye(3)[answers[blurred].argmax(axis=1)]
        return answers

    return ask, served


@pytest.fixture(scope="module")
def records():
    rng = np.random.default_rng(0)
    return (3 * rng.normal(size=(COUNT, 8))).astype("float32"), rng.integers(0, 3, COUNT)


def access_to(ask, x, y, members):
    answers = read_both((ask(x[:members]), y[:members]), (ask(x[members:]), y[members:]))
    return Access(*answers, inputs=(x[:members], x[members:]), query=ask, seed=0)


def auc(scores, members):
    return metrics.auc(scores[:members], scores[members:])


def test_the_noise_of_single_queries_is_undone(records):
    half = COUNT // 2
    ask, served = overfitted(*records, half)
    once = signals.loss(access_to(served, *records, half).answers)
    bare = signals.loss(access_to(ask, *records, half).answers)
    moved = MovedQueriesAttack().score_all(access_to(served, *records, half))
    assert auc(once, half) < 0.8 < auc(bare, half) - 0.15
    assert auc(moved, half) > auc(bare, half) - 0.02


def test_the_score_is_that_of_the_surest_answer(records):
    x, y = records
    ask, _ = overfitted(x, y, 100)
    copies = [x + 0.5, x[::-1], x * 1.5]
    scores = MovedQueriesAttack(lambda _: copies).score_all(access_to(ask, x, y, 100))
    for record in range(0, COUNT, 7):
        answers = [ask(each[record : record + 1])[0] for each in (x, *copies)]
        surest = min(answers, key=lambda p: -(p * np.log(p)).sum())
        assert scores[record] == pytest.approx(np.log(surest[y[record]]), rel=1e-6)


def test_queries_are_counted_and_the_suite_has_it(records):
    ask, _ = overfitted(*records, 100)
    access = access_to(ask, *records, 100)
    MovedQueriesAttack().score_all(access)
    assert access.queries == 24 * COUNT
    assert any(isinstance(attack, MovedQueriesAttack) for attack in suite("strong"))
    assert isinstance(suite(["moved_queries"])[1], MovedQueriesAttack)
    assert MovedQueriesAttack.key != ThresholdAttack("loss").key


def test_integers_are_altered_as_their_kind_is(records):
    ask, _ = overfitted(*records, 100)
    x, y = (records[0] > 0).astype(int), records[1]
    asked = []

    def noting(queries):
        asked.append(queries)
        return ask(np.asarray(queries, "float32"))

    access = access_to(noting, x, y, 100)
    MovedQueriesAttack().score_all(access)
    copies = len(asked)
    LabelOnlyAttack().prepare(access)
    assert len(asked) == copies  # both read the same copies
    assert all(set(np.unique(queries)) <= {0, 1} for queries in asked)
    with pytest.raises(ValueError, match="augment must be a function"):
        MovedQueriesAttack("noise")

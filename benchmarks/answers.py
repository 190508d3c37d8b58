"""Random answers of a classifier and of shadow models, to be attacked."""

import numpy as np

import mpreg
from mpreg.attacks import draw_membership

SHADOWS = 16


def random_answers(records, classes, *, seed, margin):
    """Logits that favour the label by a random part of the margin, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, records)
    logits = 2 * rng.standard_normal((records, classes), np.float32)
    logits[np.arange(records), labels] += margin * rng.exponential(size=records)
    return logits, labels


def random_sides(records, classes):
    """Answers to so many members and to so many non-members, whose labels they favour less."""
    return [random_answers(records, classes, seed=seed, margin=8 - 4 * seed) for seed in (0, 1)]


def random_shadows(records, classes):
    """`ShadowModels` of so many records, members first, with the labels of `random_sides`."""
    labels = np.concatenate([labels for _, labels in random_sides(records // 2, classes)])
    membership = draw_membership(SHADOWS, records, records // 2, seed=0)
    answers = np.empty((SHADOWS, records, classes), np.float32)
    rng = np.random.default_rng(0)
    for own, trained in zip(answers, membership, strict=True):
        own[:] = 2 * rng.standard_normal(own.shape, np.float32)
        own[np.arange(records), labels] += np.where(trained, 8, 4) * rng.exponential(size=records)
    return mpreg.ShadowModels(membership, answers, labels, from_logits=True)


def judge(sides, attacks, **options):
    """The report of attacks on answers of both sides."""
    return mpreg.evaluate_predictions(*sides[0], *sides[1], attacks=attacks, from_logits=True, **options)

"""Adversaries 1 and 2 of ML-Leaks: one shadow model, or one for another task."""

import numpy as np

from mpreg import signals
from mpreg.attacks.base import TRAINS_ALIKE, Attack, PreparedAttack
from mpreg.attacks.shadow.attack import AttackModel, as_classifier

TOP = 3
LOWEST = 1e-20  # of probabilities, before their logarithm: coarse answers hold zeros


class OneShadowAttack(PreparedAttack):
    """Fits one classifier for all classes to one shadow model: adversary 1 of ML-Leaks.

    It reads the three highest probabilities in order, and no label. It is fitted on the shadow model and judges
    the target.

    Source: Salem et al., "ML-Leaks: Model and Data Independent Membership Inference Attacks and Defenses on
    Machine Learning Models", NDSS 2019, section III.

    Args:
        classifier: as for `ShadowAttack`.

    Raises:
        ValueError: a classifier of another kind.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=[OneShadowAttack()], shadows=mpreg.ShadowFleet(build, epochs=30))
    ```
    """

    name = "one shadow"
    key = "one_shadow"
    threat_model = TRAINS_ALIKE
    threshold = 0.5
    learns = False
    needs = frozenset({"shadows"})

    def __init__(self, classifier=None):
        self.classifier = as_classifier(classifier)

    def score_all(self, access):
        known, chosen = access.shadows.answers(0), access.shadows.membership[0]
        top = min(TOP, known.classes, access.classes)
        judge = AttackModel(self.classifier, seed=access.seed).fit(highest(known, top), chosen)
        return judge.score(highest(access.answers, top))


class TransferAttack(Attack):
    """Applies a classifier fitted to another model and data set: adversary 2 of ML-Leaks.

    It reads the three highest probabilities in order, of which any task has some: what membership does to them
    is much the same everywhere. It needs nothing but the target's answers to the judged records.

    Measured between MLPs 256-128 trained to accuracy 1, accuracy / AUC, one seed. The published classifier is a
    network of 64 hidden units; here it reads the same standardized log-probabilities as the others.

    | from, to | trees | network | logistic |
    |---|---|---|---|
    | location30, itself | .875 / .912 | .876 / .912 | .863 / .881 |
    | location30, purchase100-like | .788 / .843 | .789 / .860 | .816 / .841 |
    | purchase100-like, location30 | .848 / .895 | .854 / .905 | .822 / .903 |
    | purchase100-like, itself | .822 / .864 | .823 / .864 | .819 / .850 |

    Source: Salem et al., "ML-Leaks: Model and Data Independent Membership Inference Attacks and Defenses on
    Machine Learning Models", NDSS 2019, section IV.

    Args:
        members, nonmembers: predictions of the other model for its own members and non-members, probabilities or
            logits (n, classes); classes need not be the target's.
        classifier: as for `ShadowAttack`.
        from_logits: whether these predictions are logits; None decides by looking.
        name: of the attack, where several are compared.

    Raises:
        ValueError: predictions that are neither probabilities nor logits, or a classifier of another kind.

    Example:
    ```python
    attack = TransferAttack(other.predict(other_members), other.predict(other_nonmembers))
    mpreg.evaluate(model, split, attacks=[attack])
    ```
    """

    key = "transfer"
    threat_model = "sees the model's answers and has trained on another model"
    threshold = 0.5
    learns = False

    def __init__(self, members, nonmembers, *, classifier=None, from_logits=None, name="data transfer"):
        sides = [np.asarray(side) for side in (members, nonmembers)]
        no_labels = [np.zeros(side.shape[:1], np.int64) for side in sides]
        known = signals.read_both(*zip(sides, no_labels, strict=True), from_logits=from_logits)
        top = min(TOP, known[0].classes)
        self.features = np.concatenate([highest(side, top) for side in known])
        self.membership = np.repeat([True, False], [len(side) for side in known])
        self.classifier = as_classifier(classifier)
        self.name = name

    def fit(self, members, nonmembers, *, seed=0):
        top = min(self.features.shape[1], members.classes)
        self._judge = AttackModel(self.classifier, seed=seed).fit(self.features[:, :top], self.membership)
        self._top = top
        return self

    def score(self, answers):
        return self._judge.score(highest(answers, self._top))


def highest(answers, count):
    """Returns the logarithms of the highest probabilities in order, (n, count)."""
    ranked = -np.partition(-answers.log_probabilities, range(count), axis=1)[:, :count]
    return np.maximum(ranked, np.log(LOWEST))

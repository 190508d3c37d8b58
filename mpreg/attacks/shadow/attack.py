"""The shadow attack: classifiers trained on shadow models' predictions, applied to the target."""

import copy

import numpy as np

from mpreg._threads import one_thread
from mpreg._validate import short_repr
from mpreg.attacks.access import OWN_RECORDS
from mpreg.attacks.base import TRAINS_ALIKE, PreparedAttack
from mpreg.attacks.shadow.models import ShadowModels
from mpreg.classifiers.floors import LOWEST_READ

ENOUGH = 20  # answers of a class on either side, for a classifier of its own: as many as a leaf of its trees
RANKED = 3  # other classes that a classifier of all classes reads
TREES = {"max_iter": 40, "max_depth": 3, "max_bins": 64, "early_stopping": False}
MAX_ANSWERS = 200_000  # of shadow models, to learn from: bounds the memory and time of the fits


class ShadowAttack(PreparedAttack):
    """Fits one attack model per class to shadow models' predictions for their members and non-members.

    Nothing is learnt from the target's own members. A score is the probability of membership for even odds
    beforehand, so one half is the threshold. A class of which shadow models tell too little, fewer than 20 answers
    to members or to non-members, is judged by a classifier of all classes, from the probability of the label and
    the three highest others.

    Why trees on all log-probabilities: accuracy / AUC on targets trained to accuracy 1, MLPs 256-128, one seed.
    Ranked are the label's and the three highest others (60 trees, 255 bins). Trees read logarithms and the
    probabilities themselves alike.

    | target (members), shadow models | trees | trees, ranked | logistic | MLP 64 |
    |---|---|---|---|---|
    | location30 (1,500), 16 | .893 / .947 | .892 / .939 | .838 / .907 | .841 / .914 |
    | purchase100-like (4,000), 8 | .844 / .899 | .845 / .892 | .776 / .845 | not tried |

    Of more than 200,000 answers as many are drawn at random, evenly from all shadow models.

    Source: Shokri et al., "Membership Inference Attacks Against Machine Learning Models", S&P 2017, section V.

    Args:
        classifier: a scikit-learn classifier with `predict_proba`, cloned for each class; a `NetworkClassifier`;
            or a function that builds one's Keras network. None is gradient-boosted trees.
        source: `ShadowModels` of the attacker's own records, such as synthetic ones; None takes those of the
            judged records.

    Raises:
        ValueError: a classifier or source of another kind; at scoring, a source of other classes than the
            target's.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=[ShadowAttack()], shadows=mpreg.ShadowFleet(build, epochs=30))

    membership = draw_membership(16, len(own_x), len(own_x) // 2)
    source = mpreg.ShadowFleet(build, count=16, epochs=30).train(own_x, own_y, membership=membership)
    mpreg.evaluate(model, split, attacks=[ShadowAttack(source=source)])
    ```
    """

    threat_model = TRAINS_ALIKE
    threshold = 0.5
    learns = False

    def __init__(self, classifier=None, *, source=None):
        if source is not None and not isinstance(source, ShadowModels):
            raise ValueError(
                "source must be mpreg.ShadowModels of your own records, as the train method of ShadowFleet and "
                f"ShadowTraining returns. Received: {short_repr(source)}"
            )
        self.classifier = as_classifier(classifier)
        self.source = source
        self.needs = frozenset() if source is not None else frozenset({"shadows"})
        self.name = "shadow" if source is None else "shadow, own records"
        self.key = "shadow" if source is None else OWN_RECORDS

    def score_all(self, access):
        shadows = access.shadows if self.source is None else self.source
        answers = access.answers
        classes = shadows.answers(0).classes
        if classes != answers.classes:
            raise ValueError(
                f"the shadow models answer for {classes} classes, the target for {answers.classes}"
            )
        features, labels, membership = _known(shadows, access.seed)
        learnt = PerClassAttackModel(self.classifier, seed=access.seed).fit(features, labels, membership)
        return learnt.score(_features(answers), answers.labels)

    def __deepcopy__(self, memo):
        return copy.copy(self)  # nothing here is changed by use, and shadow models are large


class PerClassAttackModel:
    """Fits an attack model for each class, and one over all classes for those with few records.

    Args:
        classifier: what `as_classifier` returns.
        seed: of every classifier that has a `random_state` and says nothing else.
    """

    def __init__(self, classifier, *, seed=0):
        self._classifier, self._seed = classifier, seed

    def fit(self, features, labels, membership):
        """Fits the models to log-probabilities (n, classes), classes (n,) and membership, bool (n,)."""
        self._judges = {}
        for label in np.unique(labels):
            rows = labels == label
            if min(membership[rows].sum(), (~membership[rows]).sum()) >= ENOUGH:
                self._judges[label] = self._learn(features[rows], membership[rows])
        if len(self._judges) < features.shape[1]:
            self._for_others = self._learn(_ranked(features, labels), membership)
        return self

    def score(self, features, labels):
        """Returns membership probabilities under even prior odds, (n,)."""
        scores = np.empty(len(labels))
        for label in np.unique(labels):
            rows = labels == label
            if label in self._judges:
                scores[rows] = self._judges[label].score(features[rows])
            else:
                scores[rows] = self._for_others.score(_ranked(features[rows], labels[rows]))
        return scores

    def _learn(self, features, membership):
        return AttackModel(self._classifier, seed=self._seed).fit(features, membership)


class AttackModel:
    """Fits one membership classifier, whose scores are probabilities under even prior odds.

    Args:
        classifier: what `as_classifier` returns; it is cloned.
        seed: of its `random_state`, where it has one and says nothing else.
    """

    def __init__(self, classifier, *, seed=0):
        from sklearn.base import clone  # slow to import, and thresholds need none
        from sklearn.ensemble import HistGradientBoostingClassifier

        if classifier is None:
            classifier = HistGradientBoostingClassifier(**TREES)
        self._model = clone(classifier, safe=False)
        if hasattr(self._model, "get_params"):
            options = self._model.get_params().items()
            unset = [
                name for name, value in options if value is None and name.split("__")[-1] == "random_state"
            ]
            self._model.set_params(**dict.fromkeys(unset, seed))

    def fit(self, features, membership):
        """Fits the classifier to features (n, ...) and membership, bool (n,), with records of both kinds."""
        self._share = membership.mean()
        with one_thread():  # on so few records, threads cost more than they gain
            self._model.fit(features, membership.astype(np.int64))
        return self

    def score(self, features):
        from mpreg.attacks.shadow.network import member_probability  # it imports scikit-learn

        with one_thread():
            found = member_probability(self._model, features)
        member, other = found * (1 - self._share), (1 - found) * self._share
        return member / (member + other)


def as_classifier(classifier):
    """Returns the membership classifier for an argument: a scikit-learn one, a function that builds a network, or None.

    None stands for gradient-boosted trees, which `AttackModel` makes.

    Raises:
        ValueError: something else.
    """
    if classifier is None or (
        not isinstance(classifier, type)
        and hasattr(classifier, "fit")
        and hasattr(classifier, "predict_proba")
    ):
        return classifier
    if callable(classifier) and not isinstance(classifier, type) and not hasattr(classifier, "fit"):
        from mpreg.attacks.shadow.network import NetworkClassifier  # it imports scikit-learn

        return NetworkClassifier(classifier)
    raise ValueError(
        "classifier must be a scikit-learn classifier with predict_proba, or a function that returns a compiled "
        f"Keras network. Received: {short_repr(classifier)}"
    )


def _known(shadows, seed):
    """What to learn from: features, labels and membership of (shadow model, record) pairs."""
    rng = np.random.default_rng(seed)
    features, labels, membership = [], [], []
    most = max(2, MAX_ANSWERS // len(shadows))
    for model, chosen in enumerate(shadows.membership):
        rows = np.arange(len(chosen))
        if len(rows) > most:
            rows = np.sort(rng.choice(rows, most, replace=False))
        features.append(_features(shadows.answers(model)[rows]))
        labels.append(shadows.labels[rows])
        membership.append(chosen[rows])
    return np.concatenate(features), np.concatenate(labels), np.concatenate(membership)


def _features(answers):
    return np.maximum(answers.log_probabilities, LOWEST_READ)


def _ranked(features, labels):
    """The label's column first, then the highest others in order: what classes have in common."""
    others = features.copy()
    rows = np.arange(len(features))
    others[rows, labels] = -np.inf
    others = -np.sort(-others, axis=1)[:, : min(RANKED, features.shape[1] - 1)]
    return np.column_stack([features[rows, labels], others])

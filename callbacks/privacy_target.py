"""Trains towards an attack accuracy instead of with a fixed penalty."""

import math
import warnings
from typing import Any

import keras
import numpy as np

from mpreg import metrics, signals
from mpreg._validate import check_number, short_repr
from mpreg.callbacks._steering import Steering, error_of
from mpreg.callbacks.adversarial_training import playing
from mpreg.classifiers.calling import predict_batch
from mpreg.data import MembershipSplit, check_pair, flatten, group_records, map_arrays, take
from mpreg.training.core.average import WeightAverage
from mpreg.training.core.defence import TrainingDefence
from mpreg.training.core.reference import ArrayReference

MAX_MEMBERS = 2000  # that are attacked
HELD_BACK = 0.3  # of the reference
MIN_HELD = 250
AT_ONCE = 512
KEEP = 0.7  # of the averaged weights, an epoch
FARTHEST = 30.0  # times the strength at the start, and its inverse
SIGNALS = (signals.loss, signals.modified_entropy, signals.correctness, signals.confidence)


class PrivacyTarget(keras.callbacks.Callback):
    """Steers the strength of a training defence so that the attack on its members ends at a target.

    It adjusts whatever regularizer the model has: the strength or penalty of the min-max game (in
    `AdversarialRegularization`, or in an `AdversarialTraining` of the same fit), the weight of the discrepancy of
    `MixUpMMD`, the entropy weight of `ConfidencePenalty` and `HAMP`; several are changed by the same factor. At the
    end of each epoch it attacks members against held-back records by thresholds on four signals, with the averaged
    weights, and makes the defence stronger or weaker. When training ends, the model gets the averaged weights of the
    most accurate epoch (on held-back records) in the second half of the training that met the target within 0.01; if
    none did, it warns, and the model gets those of the epoch with the lowest attack accuracy. `met` says which.

    It only uses members and held-back records, never the non-members of a split. Held-back records must be unknown to
    the defence: from a split, the first 30 % of the reference records (250 if that is more, but at most half) are
    permanently withheld from the defence, so that later attacks on all reference records include some that the model
    never saw; records of your own must not be among those that the defence learns from. Their number limits how
    precisely the target is met: with 450, the attack on others differs by about 0.02. Stronger attacks than thresholds,
    such as those of `mpreg.evaluate` that learn, find more: it is they that should be reported.

    Place it before `CSVLogger` and `TensorBoard`, which then record `privacy_target_strength`, the strength of the
    epoch, and `privacy_target_attack`, the attack accuracy at its end. An interrupted run starts again.

    Args:
        records: a `MembershipSplit` with reference records, or records `(x, y)` that are neither trained on nor
            reference records; with these the model must be a training defence, fitted on arrays or a
            `tf.data.Dataset`.
        attack_accuracy: accuracy of the attack to end at, above 0.5 and below 1.
        from_logits: whether the model answers with logits; None decides by looking at the answers.

    Raises:
        TypeError: records that are neither.
        ValueError: a target out of range; at the start of training, nothing to steer, held-back records that the
            defence learns from, or reference records in a stream, from which none can be taken.

    Example:
    ```python
    model = mpreg.AdversarialRegularization(target, split.reference)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*split.members, epochs=30, callbacks=[PrivacyTarget(split, attack_accuracy=0.65)])
    ```
    """

    def __init__(self, records: Any, *, attack_accuracy: float = 0.60, from_logits: bool | None = None):
        super().__init__()
        self.attack_accuracy = check_number("attack_accuracy", attack_accuracy, above=0.5, below=1)
        self.from_logits = from_logits
        self.met = None
        self._members = None
        if isinstance(records, MembershipSplit):
            if records.reference is None:
                raise ValueError(
                    f"the split has no reference records to hold back. Received: {short_repr(records)}"
                )
            self._members = _first(records.members, MAX_MEMBERS)
            count = len(records.reference[1])
            self._held = _first(records.reference, max(int(HELD_BACK * count), min(MIN_HELD, count // 2)))
        elif isinstance(records, tuple | list) and len(records) == 2:
            self._held = check_pair(records, "held-back records")
        else:
            raise TypeError(
                f"records must be an mpreg.MembershipSplit or a pair (x, y). Received: {short_repr(records)}"
            )
        self._from_split = self._members is not None

    def on_train_begin(self, logs=None):
        parts = self._parts()
        self._steered = [part for part in parts if part.strength is not None and _value(part.strength) > 0]
        if not self._steered:
            raise ValueError(
                "there is nothing to steer: the model must be a training defence whose strength is above 0 "
                "(AdversarialRegularization, MixUpMMD, ConfidencePenalty, HAMP), or be fitted with "
                f"AdversarialTraining. Received: {short_repr(self.model)}"
            )
        self._limits = [_limits(part) for part in self._steered]
        if not self._from_split:
            self._members = self._members_of_fit()
        self._hold_back(parts)
        self._target = getattr(self.model, "target_model", self.model)
        self._average = WeightAverage(self._target, KEEP)
        self._best, self.met = None, None
        found = self._measure()
        self._steering = Steering(
            self.attack_accuracy,
            floor=found[0] if math.isfinite(found[0]) else 0.5,
            epochs=self.params["epochs"],
            error=error_of(*(len(y) for _, y in (self._members, self._held))),
        )

    def on_epoch_end(self, epoch, logs=None):
        self._average.update()
        current = self._average.put()
        attack, *accuracies = self._measure()
        self._average.put(current)
        strength = _value(self._steered[0].strength)
        if math.isfinite(attack):
            factor = math.exp(self._steering.step(epoch, attack, *accuracies))
            for part, (low, high) in zip(self._steered, self._limits, strict=True):
                part.strength.assign(min(max(_value(part.strength) * factor, low), high))
            if epoch + 1 > self._steering.epochs / 2:
                self._consider(attack, accuracies[1])
        if logs is not None:
            logs.update({"privacy_target_strength": strength, "privacy_target_attack": attack})

    def on_train_end(self, logs=None):
        for part in self._steered:
            if getattr(part, "average", None) is not None:
                part.average.forget()  # a callback behind this one would put it in
        if self._best is None:
            self.met = False
            found = "training ended in the first half of its epochs, and nothing was kept"
        else:
            (self.met, _), weights, attack = self._best
            self._average.put(weights)
            found = f"the least was {attack:.3f}, and the weights of that epoch are kept"
        if not self.met:
            warnings.warn(
                f"the attack accuracy of {self.attack_accuracy:g} was not met: {found}. Allow a higher "
                "attack_accuracy, train on more records, or start with a stronger defence",
                UserWarning,
                stacklevel=2,
            )

    def _consider(self, attack, held_accuracy):
        meets = self._steering.meets(attack)
        merit = (meets, held_accuracy if meets else -attack)
        if self._best is None or merit >= self._best[0]:
            self._best = merit, self._average.values, attack

    def _parts(self):
        if isinstance(self.model, TrainingDefence):
            return self.model.parts
        player = playing(self.model)
        return [] if player is None else [player.game]

    def _members_of_fit(self):
        if getattr(self.model, "members", None) is None:
            raise ValueError(
                "held-back records alone do not tell who is a member: give a MembershipSplit, or wrap the model in a "
                f"training defence. Received: {short_repr(self.model)}"
            )
        return check_pair(self.model.members(MAX_MEMBERS), "members")

    def _hold_back(self, parts):
        """Takes the held-back records of a split from the parts; of others, refuses those that a part has."""
        self._refuse(_among(self._held[0], self._members[0]), "members")
        for part in parts:
            if not part.consumes_reference:
                continue
            if not isinstance(part.reference, ArrayReference):
                if self._from_split:
                    raise ValueError(
                        "no record can be taken from a stream of reference records: give PrivacyTarget records (x, y) "
                        "that are not in it, or give the defence arrays"
                    )
                continue
            known = check_pair(part.reference.records, "reference")
            shared = _among(known[0], self._held[0])
            if not self._from_split:
                self._refuse(shared, "reference records of the defence")
            elif shared.all():
                raise ValueError(
                    "the defence would have no reference records left: all of its are held back. Give it more of the "
                    "split's reference records"
                )
            elif shared.any():
                part.set_reference(take(known, np.flatnonzero(~shared)))
                if isinstance(self.model, TrainingDefence):
                    self.model.make_train_function(force=True)  # it is traced with the records it has

    @staticmethod
    def _refuse(shared, whose):
        if shared.any():
            raise ValueError(
                f"held-back records must be unknown to the defence, and {int(shared.sum())} are among the {whose}: "
                "give others"
            )

    def _measure(self):
        """Accuracy of the attack, and of the model on members and on held-back records; NaN where answers are."""
        answers = [self._predict(x) for x, _ in (self._members, self._held)]
        if not all(np.isfinite(side).all() for side in answers):
            return float("nan"), float("nan"), float("nan")
        answered = [(side, y) for side, (_, y) in zip(answers, (self._members, self._held), strict=True)]
        sides = signals.read_both(*answered, from_logits=self.from_logits)
        advantage = max(metrics.attack_advantage(*map(signal, sides)) for signal in SIGNALS)
        return 0.5 + 0.5 * float(advantage), *(float(signals.correctness(side).mean()) for side in sides)

    def _predict(self, x):
        records = len(flatten(x)[0])
        parts = (map_arrays(lambda a, at=at: a[at : at + AT_ONCE], x) for at in range(0, records, AT_ONCE))
        return np.concatenate([predict_batch(self.model, part) for part in parts])


def _first(pair, count):
    return take(pair, np.arange(min(count, len(pair[1]))))


def _value(variable):
    return float(keras.ops.convert_to_numpy(variable))


def _limits(part):
    """The least and the greatest strength of a part."""
    strength = _value(part.strength)
    return strength / FARTHEST, max(strength, min(part.strongest, FARTHEST * strength))


def _among(x, others):
    """Which records equal one of the others, bool (n,)."""
    both = [np.concatenate(pair) for pair in zip(flatten(x), flatten(others), strict=True)]
    groups = group_records(both)
    count = len(flatten(x)[0])
    return np.isin(groups[:count], groups[count:])

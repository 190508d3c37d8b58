"""Reports leakage beside accuracy in `logs`, each epoch."""

import os
import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mpreg import metrics, signals
from mpreg._validate import check_count, short_repr
from mpreg.attacks import cross_fit_each, suite
from mpreg.attacks.suites import optional_in, without_records
from mpreg.classifiers.arrays import only_output
from mpreg.classifiers.calling import call_target
from mpreg.classifiers.kind import logits_by_last_layer
from mpreg.data import MembershipSplit, distinct_rows, flatten, join_groups, map_arrays, take
from mpreg.data.labels import ONE
from mpreg.evaluation.headline import strongest_accuracy

MIN_RECORDS = 250
SHARE_OF_MEMBERS = 0.1
FOLDS = 2
BATCH = 512
FIGURES = (
    "train_accuracy",
    "test_accuracy",
    "attack_accuracy",
    "attack_accuracy_low",
    "attack_accuracy_high",
    "attack_auc",
    "attack_advantage",
    *(f"attack_tpr_at_fpr_{fpr}" for fpr in metrics.FPRS),
)


class PrivacyMeter(keras.callbacks.Callback):
    """Attacks the model at the end of an epoch and adds the results to `logs`.

    Place it before `EarlyStopping`, `ModelCheckpoint`, `CSVLogger` and `TensorBoard`, which can then use
    `train_accuracy`, `test_accuracy`, `attack_accuracy` (of the strongest attack) with the limits
    `attack_accuracy_low` and `attack_accuracy_high` (95 %, corrected for the number of attacks), `attack_auc`,
    `attack_advantage`, `attack_tpr_at_fpr_0.01`, `attack_tpr_at_fpr_0.001` and `attack_tpr_at_fpr_0` (each the
    highest of any attack, as in the report), `attack_records` (records judged on each side) and `privacy_meter_cost`
    (its time as a share of the epoch). It measures after the first epoch of a fit and after every `every` epochs; in
    between it repeats the last figures, at a cost of 0, because Keras expects every key in every epoch. Give
    `EarlyStopping` a patience of at least `every` epochs, and `mode="min"` or `"max"`, which Keras cannot infer. If
    the model's predictions are NaN, so are the figures.

    It judges a random subset, the same in each epoch, to stay below a tenth of an epoch's time: a tenth as many
    records on each side as there are members, at least 250. Epochs of a few steps are shorter than any measurement;
    see `cost`. The figures are for monitoring: the maximum over attacks on few records is biased upward. Report
    `mpreg.evaluate`. If training was stopped or a model selected by these figures, report on other non-members.

    Args:
        split: a `MembershipSplit`.
        every: epochs between measurements, at least 1.
        attacks: as for `mpreg.evaluate`, those that need nothing but the model's answers: of the standard suite all
            but imitation.
        records: records to judge a side; None as above; all where there are fewer.
        log_dir: folder for TensorBoard, may be that of `keras.callbacks.TensorBoard`: the run `privacy` in it has
            these figures, utility beside leakage (Custom Scalars), histograms of the true class's probability and of
            the strongest attack's scores on members and on non-members, the attack's precision and recall and, once
            training has ended, its ROC. None writes nothing.
        from_logits: as for `mpreg.evaluate`.
        seed: seed of the subset and of the cross-fitting.

    Raises:
        ValueError: `every` or `records` out of range, or unknown attacks.
        TypeError: a split or a path that is none.

    Example:
    ```python
    meter = PrivacyMeter(split, log_dir="logs/advreg")
    model.fit(*split.members, epochs=30, callbacks=[meter, keras.callbacks.CSVLogger("log.csv")])
    ```

    Do not stop at the lowest `attack_accuracy`: an untrained model leaks least. `PrivacyTarget` steers towards a
    figure instead.
    """

    def __init__(
        self,
        split: MembershipSplit,
        *,
        every: int = 1,
        attacks: Any = "fast",
        records: int | None = None,
        log_dir: str | os.PathLike[str] | None = None,
        from_logits: bool | None = None,
        seed: int = 0,
    ):
        super().__init__()
        if not isinstance(split, MembershipSplit):
            raise TypeError(f"split must be an mpreg.MembershipSplit. Received: {short_repr(split)}")
        if split.decisions != ONE:
            raise ValueError(
                "PrivacyMeter judges models that answer one class a record: use mpreg.evaluate after training. "
                f'Received: a split with decisions="{split.decisions}"'
            )
        check_count("every", every, 1)
        if records is not None:
            check_count("records", records, 4)
        if log_dir is not None and not isinstance(log_dir, str | os.PathLike):
            raise TypeError(f"log_dir must be the path of a folder. Received: log_dir={short_repr(log_dir)}")
        self.every = every
        self.seed = seed
        self.from_logits = from_logits
        self.costs: list[float] = []
        self._attacks = without_records(suite(attacks), optional_in(attacks))
        for attack in self._attacks:
            if attack.needs:
                raise ValueError(
                    f"PrivacyMeter sees the model's answers alone, but attack {attack.name!r} needs "
                    f"{', '.join(sorted(attack.needs))}. Use it in mpreg.evaluate, after training"
                )
        if records is None:
            records = max(MIN_RECORDS, int(SHARE_OF_MEMBERS * len(split.members[1])))
        rng = np.random.default_rng(seed)
        self._sides = [_sample(pair, records, rng) for pair in (split.members, split.nonmembers)]
        self.records = tuple(len(y) for _, y in self._sides)
        self._log_dir = log_dir
        self._board = None
        self._last = None
        self._sight: EpochScores | None = None
        self._judged = None

    @property
    def cost(self) -> float:
        """Median time of a measurement as a share of an epoch, without the first, which compiles."""
        return float(np.median(self.costs[1:] or self.costs)) if self.costs else 0.0

    def set_model(self, model):
        if model is self._judged:  # another fit of the same model: its answers need no new trace
            return
        super().set_model(model)
        self._judged = model
        self._forward = self._answer if getattr(model, "run_eagerly", False) else self._compile()

    def _compile(self):
        shape = keras.tree.map_structure(
            lambda *sides: tf.TensorSpec((None, *sides[0].shape[1:]), tf.as_dtype(sides[0].dtype)),
            *(x for x, _ in self._sides),
        )
        return tf.function(self._answer, input_signature=[shape])

    def _answer(self, x):
        return only_output(call_target(self.model, x, training=False))

    def on_train_begin(self, logs=None):
        self._last = None
        shapes = [tuple(output.shape) for output in getattr(self.model, "outputs", None) or ()]
        if len(shapes) > 1 or any(len(shape) != 2 for shape in shapes):
            raise ValueError(
                "PrivacyMeter attacks a classifier with one output of class scores, (n, classes). "
                f"Received: a model with outputs of shapes {shapes}. Measure a keras.Model of the one output that "
                "matters, after training, by mpreg.evaluate"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        if self._last is None or (epoch + 1) % self.every == 0:
            began = time.perf_counter()
            figures = self.measure()
            spent = time.perf_counter() - began
            self.costs.append(spent / max(began - self._began, 1e-9))
            self._last = {**figures, "privacy_meter_cost": self.costs[-1]}
            self._write(epoch)
        else:
            self._last["privacy_meter_cost"] = 0.0
        if logs is not None:
            logs.update(self._last)

    def on_train_end(self, logs=None):
        if self._board is not None:
            self._board.close()
            self._board = None

    def measure(self) -> dict[str, float]:
        """Attacks the model as it is now and returns the figures as a dict of floats."""
        self._sight = None
        predictions = [self._predict(x) for x, _ in self._sides]
        if not all(np.isfinite(side).all() for side in predictions):
            return {**dict.fromkeys(FIGURES, float("nan")), "attack_records": min(self.records)}
        answered = [(answers, y) for answers, (_, y) in zip(predictions, self._sides, strict=True)]
        from_logits = logits_by_last_layer(self.model) if self.from_logits is None else self.from_logits
        members, nonmembers = signals.read_both(*answered, from_logits=from_logits)
        judged = cross_fit_each(self._attacks, members, nonmembers, folds=FOLDS, seed=self.seed)
        found = list(zip(self._attacks, judged, strict=True))
        attack, verdicts = max(found, key=lambda pair: _accuracy(pair[1]))  # the first of equals
        self._sight = EpochScores(
            losses=(signals.loss(members), signals.loss(nonmembers)),
            attack=attack.name,
            scores=(verdicts.member_scores, verdicts.nonmember_scores),
        )
        accuracy = strongest_accuracy(verdicts, learns=attack.learns, tried=len(self._attacks))
        return _figures(members, nonmembers, [verdicts for _, verdicts in found], accuracy)

    def _predict(self, x):
        rows = len(flatten(x)[0])
        batches = (
            map_arrays(lambda part, at=start: part[at : at + BATCH], x) for start in range(0, rows, BATCH)
        )
        return np.concatenate([self._forward(batch).numpy() for batch in batches])

    def _write(self, epoch):
        if self._log_dir is None:
            return
        if self._board is None:  # a fit that was interrupted leaves it open, and the next goes on with it
            from mpreg.reports.tensorboard.meter import MeterRun

            self._board = MeterRun(self._log_dir)
        self._board.write(epoch, self._last, self._sight)


@dataclass(frozen=True, eq=False)
class EpochScores:
    """Losses and attack scores of single records in one measurement: members, then non-members.

    Attributes:
        losses: logarithms of the probability of the true class, a pair of float (n,).
        attack: the name of the strongest attack.
        scores: its scores, a pair of float (n,).
    """

    losses: tuple
    attack: str
    scores: tuple


def _accuracy(verdicts):
    return metrics.balanced_accuracy(verdicts.member_decisions, verdicts.nonmember_decisions)


def _figures(members, nonmembers, found, accuracy):
    """Point values, each the highest of any attack; other intervals are left to `evaluate`, which has the time."""

    def highest(metric, **options):
        return max(metric(each.member_scores, each.nonmember_scores, **options) for each in found)

    values = (
        signals.correctness(members).mean(),
        signals.correctness(nonmembers).mean(),
        accuracy,
        *accuracy.interval,
        highest(metrics.auc),
        highest(metrics.attack_advantage),
        *(highest(metrics.tpr_at_fpr, fpr=fpr) for fpr in metrics.FPRS),
    )
    records = min(len(members), len(nonmembers))
    return {**dict(zip(FIGURES, map(float, values), strict=True)), "attack_records": records}


def _sample(pair, records, rng):
    rows = distinct_rows(join_groups(pair[0]))  # copies of one record would be known and judged at once
    return take(pair, np.sort(rows[rng.permutation(len(rows))[:records]]))

"""Split distillation (SELENA): models that never saw a record label it, and one model learns the labels."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mpreg._deprecated import renamed_arguments
from mpreg._validate import check_count, short_repr
from mpreg.data import join_groups, map_arrays
from mpreg.data.copies import join_copies
from mpreg.ensembles.student import Distilled, Student, check_build_fn, read_answers
from mpreg.fleet import Fleet
from mpreg.fleet.checks import check_records

ANSWERS_AT_ONCE = 2**28  # bytes of all sub-models' answers to a part of the records


class SplitDistillation(Distilled):
    """Trains sub-models on parts of the members, and distils their predictions for members they never saw.

    Each record is held out of exactly `held_out` of the `submodels`, together with all its copies. The mean class
    probabilities of these sub-models are its soft label, and one model of the same kind, the student, is trained on
    the soft labels of all records. Its predictions on members therefore resemble those of models trained without
    them. Only the student is deployed: `target_model`, a plain Keras model. `membership`, `soft_labels` and the
    sub-models are as private as the data.

    With `copies`, the student is trained on altered copies of the records instead, each labelled by the sub-models
    that never saw its record. It then never sees a member unaltered, and learns more from the sub-models than the few
    records alone could show. This is the recommended variant; without copies, it is the paper's.

    Cost: the sub-models are trained for as many steps as `submodels - held_out` plain trainings, in one program
    (`mpreg.Fleet`), and predict all copies; the student is trained on all copies for `distill_epochs`. No reference
    records are consumed, unless `wrap_student` does.

    Source: Tang et al., "Mitigating Membership Inference Attacks by Self-Distillation Through a Novel Ensemble
    Architecture" (SELENA), USENIX Security 2022: Split-AI, algorithm 1, and self-distillation. The rule by which
    Split-AI answers to members at inference time is not needed here, for Split-AI itself is never deployed.

    Args:
        build_fn: function without arguments that builds and compiles a Keras classifier, as for `mpreg.Fleet`: a
            new one at each call, initialized under the random seeds that have just been set.
        submodels: number of sub-models (K in the paper), at least 2.
        held_out: number of sub-models that never see a given record (L), from 1 to `submodels - 1`.
        student_fn: like `build_fn`, for a student with another architecture or learning rate; None uses
            `build_fn`.
        distill_epochs: epochs of the student; None uses those of the sub-models.
        copies: function that yields altered copies of the records, such as `mpreg.ensembles.Erased()`, or
            `mpreg.attacks.ShiftsAndFlips()` for images; None distils on the records themselves.
        wrap_student: function that wraps the distilling student in a training defence, such as `lambda student:
            mpreg.AdversarialRegularization(student, reference)`. The defence sees the true labels.
        temperature: soft labels are raised to the power 1 / temperature; above 1 they become smoother.
        seed: non-negative integer; seed of the parts, the weights and the batches.

    Raises:
        TypeError: `build_fn` or `student_fn` is no function.
        ValueError: an option out of range.

    Example:
    ```python
    model = mpreg.SplitDistillation(build_and_compile, submodels=25, held_out=10)
    model.fit(*split.members, epochs=20)
    print(mpreg.evaluate(model, split))
    model.target_model.save("classifier.keras")
    ```
    """

    @renamed_arguments(model_fn="build_fn", out="held_out", through="wrap_student")
    def __init__(
        self,
        build_fn: Callable[..., Any],
        *,
        submodels: int = 25,
        held_out: int = 10,
        student_fn: Callable[..., Any] | None = None,
        distill_epochs: int | None = None,
        copies: Any = None,
        wrap_student: Callable[..., Any] | None = None,
        temperature: float = 1.0,
        seed: int = 0,
    ):
        check_build_fn("build_fn", build_fn)
        if student_fn is not None:
            check_build_fn("student_fn", student_fn)
        check_count("submodels", submodels, 2)
        check_count("held_out", held_out, 1)
        if held_out >= submodels:
            raise ValueError(
                f"held_out must be below submodels: a record that every sub-model leaves out would train none. "
                f"Received: held_out={held_out}, submodels={submodels}"
            )
        if copies is not None and not callable(copies):
            raise ValueError(
                "copies must be a function of records that yields altered copies of them, such as "
                f"mpreg.ensembles.Erased(). Received: {short_repr(copies)}"
            )
        super().__init__(
            distill_epochs=distill_epochs, wrap_student=wrap_student, temperature=temperature, seed=seed
        )
        self._student_fn, self._copies = student_fn or build_fn, copies
        self._build_fn, self._submodels, self._held_out = build_fn, submodels, held_out

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        epochs: int,
        batch_size: int = 128,
        verbose: str | int = "auto",
        groups: Any = None,
    ) -> "SplitDistillation":
        """Trains the sub-models and then the student, from their initial weights; returns this object.

        Rows with equal features are one record: the same sub-models leave all of them out.

        Args:
            x: records, one array or a dict, list or tuple of arrays, as the model takes them.
            y: labels, integer (records,) or one-hot (records, classes), as the model's loss takes them.
            epochs: how often each sub-model sees its records.
            batch_size: records of a step, of sub-models and student alike.
            verbose: "auto" shows progress bars; 0 shows none.
            groups: whole numbers or text (records,) that say which records belong together, such as those of one
                person: the same sub-models leave all of a group out. `mpreg.data.group_records(x, distance=...)`
                groups near records. None groups equal ones alone.

        Raises:
            ValueError: groups that are not one a record; too few records for all sub-models to have some; what
                `mpreg.Fleet` refuses; a `wrap_student` that returns something other than a training defence around the
                student; `copies` of other shapes.
        """
        check_count("epochs", epochs, 1)
        x, y = check_records(x, y)
        groups = join_groups(x, groups)
        membership = draw_parts(groups.max() + 1, self._submodels, self._held_out, seed=self._seed)[:, groups]
        student = Student(
            self._student_fn, wrap_student=self._wrap_student, seed=self._seed + self._submodels
        )
        fleet = Fleet(self._build_fn, self._submodels, seed=self._seed)
        options: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "verbose": verbose}
        fleet.fit(x, y, membership=membership, **options)
        queries, count = (x, 1) if self._copies is None else join_copies(self._copies, x)
        answers = answers_of_others(fleet, queries, np.tile(membership, count))
        self._distil(student, queries, np.concatenate([y] * count), answers, **options)
        self._membership = membership
        return self

    @property
    def membership(self) -> np.ndarray:
        """Which records each sub-model was trained on, bool (submodels, records)."""
        self._trained()
        return self._membership


def draw_parts(records, submodels, held_out, *, seed):
    """Draws which records each sub-model is trained on, bool (submodels, records): `held_out` of them leave each out.

    The sub-models left out are dealt like cards, in an order drawn anew whenever they have all been dealt `held_out`
    times: all sub-models are trained on equally many records, give or take one.

    Raises:
        ValueError: a sub-model would have no record.
    """
    if records <= -(-records * held_out // submodels):
        raise ValueError(
            f"{records} records are too few: of {submodels} sub-models, each without {held_out} in {submodels} of the "
            "records, some would have none. Use fewer sub-models, or a smaller held_out"
        )
    rng = np.random.default_rng(seed)
    rows = rng.permutation(records)
    deals = np.tile(np.arange(submodels), (-(-records // submodels), 1))
    deals = rng.permuted(deals, axis=1)
    at = np.arange(records)[:, None]
    left_out = deals[at // submodels, (at % submodels * held_out + np.arange(held_out)) % submodels]
    membership = np.ones((submodels, records), bool)
    membership[left_out, rows[:, None]] = False
    return membership


def answers_of_others(fleet, x, membership, *, at_once=ANSWERS_AT_ONCE):
    """Returns for each record the mean prediction of the sub-models that never saw it, (records, classes).

    Args:
        at_once: bytes of answers to hold at a time.
    """
    model, (submodels, records) = fleet.model(0), membership.shape
    size = max(1, at_once // (4 * submodels * model.output_shape[-1]))
    means = []
    for start in range(0, records, size):
        part = slice(start, start + size)
        others = ~membership[:, part]
        predictions = fleet.predict(map_arrays(lambda array, at=part: array[at], x), asked=others)
        total = np.zeros((others.shape[1], max(2, model.output_shape[-1])))
        for prediction, other in zip(predictions, others, strict=True):
            if other.any():
                total[other] += read_answers(model, prediction[other]).probabilities
        means.append(total / others.sum(axis=0)[:, None])
    return np.concatenate(means)

"""Distillation for membership privacy (DMP): the student never sees a member, only a teacher's predictions."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mpreg import signals
from mpreg._deprecated import renamed_arguments
from mpreg._validate import check_count
from mpreg.data import check_pair, take
from mpreg.ensembles.student import Distilled, Student, check_build_fn, read_answers
from mpreg.fleet.checks import check_model, check_records
from mpreg.fleet.job import build


class DistillToReference(Distilled):
    """Trains a teacher on the members, and a student on the teacher's predictions for reference records.

    The teacher, which memorized the members, is discarded; `target_model` is the student, a plain Keras model that
    has seen no member. The student learns the teacher's predictions for `reference`, so the reference records are its
    training set: attack them too (`split.reference` as members), and use no records whose membership must stay
    secret. On location30 the members were attacked with accuracy .60 and the reference records with .69 (one seed, 20
    epochs each).

    Cost: two plain trainings. The reference records are consumed; their true labels are only used by `wrap_student`.

    Source: Shejwalkar and Houmansadr, "Membership Privacy for Machine Learning Models Through Knowledge Transfer",
    AAAI 2021, the three phases of DMP and the criterion for choosing reference records: those to which the teacher's
    answers have low entropy tell least of its members.

    Args:
        build_fn: function without arguments that builds and compiles a Keras classifier, a new one at each call.
        reference: records outside the training set, `(x, y)` arrays or a finite `tf.data.Dataset` of `(x, y)`.
        num_reference: number of reference records that the student sees, those with the lowest entropy of the
            teacher's predictions; None uses all.
        distill_epochs: epochs of the student; None uses those of the teacher.
        wrap_student: function that wraps the distilling student in a training defence.
        temperature: the teacher's predictions are raised to the power 1 / temperature; above 1 they become
            smoother.
        seed: non-negative integer; seed of the weights and the batches.

    Raises:
        TypeError: `build_fn` is no function.
        ValueError: an option out of range, reference records that are no records.

    Example:
    ```python
    model = mpreg.DistillToReference(build_and_compile, split.reference)
    model.fit(*split.members, epochs=30)
    model.target_model.save("classifier.keras")
    ```
    """

    consumes_reference = True

    @renamed_arguments(model_fn="build_fn", surest="num_reference", through="wrap_student")
    def __init__(
        self,
        build_fn: Callable[..., Any],
        reference: Any,
        *,
        num_reference: int | None = None,
        distill_epochs: int | None = None,
        wrap_student: Callable[..., Any] | None = None,
        temperature: float = 1.0,
        seed: int = 0,
    ):
        check_build_fn("build_fn", build_fn)
        self._reference = check_records(*check_pair(reference, "reference"))
        if num_reference is not None:
            check_count("num_reference", num_reference, 1)
            if num_reference > len(self._reference[1]):
                raise ValueError(
                    f"num_reference must be at most the number of reference records, {len(self._reference[1]):,}. "
                    f"Received: num_reference={num_reference}"
                )
        super().__init__(
            distill_epochs=distill_epochs, wrap_student=wrap_student, temperature=temperature, seed=seed
        )
        self._build_fn, self._num_reference = build_fn, num_reference

    def fit(
        self, x: Any, y: Any, *, epochs: int, batch_size: int = 128, verbose: str | int = "auto"
    ) -> "DistillToReference":
        """Trains the teacher and then the student, from their initial weights; returns this object.

        Args:
            x: records, one array or a dict, list or tuple of arrays, as the model takes them.
            y: labels, integer (records,) or one-hot (records, classes), as the model's loss takes them.
            epochs: of the teacher.
            batch_size: records of a step, of teacher and student alike.
            verbose: as for `keras.Model.fit`.

        Raises:
            ValueError: records or labels that do not fit the model, or a `wrap_student` that returns something other
                than a training defence around the student.
        """
        check_count("epochs", epochs, 1)
        check_count("batch_size", batch_size, 1)
        x, y = check_records(x, y)
        student = Student(self._build_fn, wrap_student=self._wrap_student, seed=self._seed + 1)
        teacher = build(self._build_fn, self._seed)
        for labels in (y, self._reference[1]):
            check_model(teacher, labels)
        options = {"epochs": epochs, "batch_size": batch_size, "verbose": verbose}
        teacher.fit(x, y, **options)
        answers = read_answers(teacher, signals.predict(teacher, self._reference[0]))
        chosen = lowest_entropy_rows(answers, self._num_reference)
        seen_x, seen_y = take(self._reference, chosen)
        self._distil(student, seen_x, seen_y, answers.probabilities[chosen], **options)
        self._chosen = chosen
        return self

    @property
    def chosen(self) -> Any:
        """Indices of the reference records that the student was trained on, (records,)."""
        self._trained()
        return self._chosen


def lowest_entropy_rows(answers, count):
    """Returns the rows of the `count` predictions with the lowest entropy, ascending; None returns all."""
    return np.sort(np.argsort(-signals.entropy(answers), kind="stable")[:count])

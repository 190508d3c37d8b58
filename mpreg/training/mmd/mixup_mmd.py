"""MixUp and MMD: blended records, and a penalty on the distance between member and reference predictions."""

from typing import Any

import keras

from mpreg._validate import check_number
from mpreg.training.core.defence import TrainingDefence, check_classifier, classes_on
from mpreg.training.core.reference import open_reference
from mpreg.training.mmd.discrepancy import Discrepancy
from mpreg.training.mmd.mixing import Mixing


@keras.saving.register_keras_serializable("mpreg")
class MixUpMMD(TrainingDefence):
    """Trains a classifier on blends of records, with a penalty on differences from its reference predictions.

    MixUp: the records of a batch are blended with one another, and so are their labels, with one share a batch, drawn
    from Beta(alpha, alpha). MMD: between two epochs the optimizer takes a pass over the members, sorted by class, on
    the discrepancy alone: `mmd_weight` times the squared maximum mean discrepancy (biased, of a Gaussian kernel)
    between the target's softmax answers on a batch of members, not blended, and on as many reference records of the
    same classes, drawn anew each time; both without Dropout and with the running batch statistics, and the answers on
    reference records are held fixed. Members of a class that the reference lacks take no part in it.

    A pass is taken only where, at the end of the epoch before, the training accuracy and the reference accuracy were
    `gap` apart, both without Dropout, on at most 4096 records; so never ahead of the first epoch, nor after the last,
    which the authors spare for the accuracy. It logs `mmd`, the mean discrepancy over the pass ahead of the epoch, 0
    where there was none, and `mmd_charged`, which is 1 where there was one. A schedule of the learning rate counts
    training steps alone. Passes are taken by `fit`, so `train_on_batch` takes none. MixUp alone is `mmd_weight=0`,
    which needs no reference; MMD alone is `alpha=0`. Deploy `model.target_model`.

    Cost: MixUp about that of plain training; a pass about one and a half epochs more on a small table, and nothing
    where the gate stays closed. A dataset is read into memory. MMD uses up the reference records, which the target must
    never be evaluated on.

    Source: Li, Li and Ribeiro, "Membership Inference Attacks and Defenses in Classification Models", CODASPY 2021,
    section 5; Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Args:
        target: a Keras classifier, or a training defence of one; features are floating point numbers for MixUp.
        reference: records outside the training set, `(x, y)` or a finite `tf.data.Dataset`, read into memory.
        alpha: of the Beta distribution; 1 draws shares evenly, less leaves records purer, 0 or None blends nothing.
        mmd_weight: weight of the discrepancy, at least 0.
        gap: distance of training and reference accuracy, 0 to 1, from which on a pass is taken; 0 takes one between any
            two epochs, and measures nothing.
        bandwidths: of the Gaussian kernels, whose mean is taken.
        from_logits: whether the target answers with logits; None reads it from its last layer and its loss.
        seed: of the blends and the reference draws.

    Raises:
        ValueError: an option out of range, nothing to do, a discrepancy without reference records, or records that
            the target cannot score; in `fit` with a discrepancy, records from a generator, which come once only.

    Example:
    ```python
    model = mpreg.MixUpMMD(target, split.reference, mmd_weight=3.0)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*split.members, epochs=30)
    ```
    """

    def __init__(
        self,
        target: Any,
        reference: Any = None,
        *,
        alpha: float = 1.0,
        mmd_weight: float = 3.0,
        gap: float = 0.03,
        bandwidths: Any = (1.0,),
        from_logits: bool | None = None,
        seed: int = 0,
        name: str = "mixup_mmd",
    ):
        check_classifier(target)
        check_number("mmd_weight", mmd_weight, least=0)
        parts = []
        if alpha is not None:
            check_number("alpha", alpha, least=0)
        if alpha:
            parts.append(Mixing(alpha=alpha, seed=seed))
        if mmd_weight:
            options = {"gap": gap, "bandwidths": bandwidths, "seed": seed}
            parts.append(_open_discrepancy(target, reference, weight=mmd_weight, **options))
        if not parts:
            raise ValueError(
                f"there is nothing to do: give alpha or mmd_weight. Received: alpha={alpha!r}, mmd_weight=0"
            )
        super().__init__(target, parts, from_logits=from_logits, name=name)


def _open_discrepancy(target, reference, **options):
    if reference is None:
        raise ValueError(
            "the discrepancy compares members with reference records: give reference, or mmd_weight=0 for MixUp alone"
        )
    record = open_reference(reference, 1).first()
    part = Discrepancy(classes=classes_on(target, record), **options)
    part.set_reference(reference)
    return part

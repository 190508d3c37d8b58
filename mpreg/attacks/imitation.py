"""The imitation attack: cheap models that mimic the target say how hard a record is, in place of shadow models."""

from mpreg.attacks.trained import attack_features
from mpreg.attacks.weighing import WeighingAttack


class ImitationAttack(WeighingAttack):
    """Compares the target with small networks that were taught the records' labels, or the target's own answers.

    Shadow models tell how a record is answered by models with and without it, at the price of training like the target,
    its defence included. Imitators are small networks of the attacker's, four taught the labels of halves of the judged
    records and four the target's answers to them (`mpreg.signals.imitators`): they tell how hard a record is, and what
    the target would say of it had it seen the others alone. A logistic regression and boosted trees learn from known
    records how the target's answer lies to theirs, beside all that the trained attack reads; where they learn nothing,
    the score is the plain mean of how far it lies above theirs. No training of the target needs to be repeated, and
    nothing known of its defence: it takes seconds.

    On location30 (split 0), AUC / TPR at 1 %, beside the AUC of the best of thresholds, trained attack and quantile
    regression, and that of the best single attack with 16 shadow models trained with the same defence: undefended
    .985 / .71 (.947; .982), the published game .954 / .54 (.895; .893), split distillation .741 / .10 (.606; .712), the
    game at penalty 30 .729 / .06 (.660; .740), DP-SGD at epsilon 8 .690 / .04 (.651; .714). On split distillation of
    altered copies .805 / .20 (.538; .672 with 8 shadow models): imitators of the answers are surer of members than the
    target is, which models that never saw them taught.

    Source: the idea of imitating a target whose training cannot be repeated is that of the imitation attack (IMIA);
    taking off how hard a record is, Watson et al., "On the Importance of Difficulty Calibration in Membership Inference
    Attacks", ICLR 2022. Networks, halves and what is read of them are this library's.

    Example:
    ```python
    mpreg.evaluate(model, split, attacks=["imitation"])
    ```
    """

    name = key = "imitation"
    threat_model = (
        "sees the model's answers, trains small networks that mimic them, and learns from other records of known "
        "membership"
    )
    needs = frozenset({"records", "numbers"})
    plain = 1, 2, 4, 7, 8, 10  # how far the target's answer lies above those of either kind

    def read(self, access):
        return [*access.imitation.T, *attack_features(access.answers).T]

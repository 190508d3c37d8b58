"""A script of a user, never run: `.ci/run` type-checks it strictly against the installed wheel."""

import keras
import numpy as np

import mpreg
from mpreg import attacks, catalogue, datasets, metrics
from mpreg.callbacks import AdversarialTraining, PrivacyBudget, PrivacyMeter, PrivacyTarget, SnapshotRecorder
from mpreg.reports.tensorboard import write_hparams, write_report


def build() -> keras.Model:
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def defend(x: np.ndarray, y: np.ndarray) -> mpreg.PrivacyReport:
    split = mpreg.MembershipSplit.from_arrays(x, y, members=100, reference=100, seed=0)
    split = mpreg.plant_canaries(split, 10, kind="mislabelled", seed=1)
    model = mpreg.AdversarialRegularization(build(), split.reference, penalty=3.0)
    model.compile("adam", "sparse_categorical_crossentropy")
    meter = PrivacyMeter(split, every=2, log_dir="logs")
    model.fit(*split.members, epochs=2, callbacks=[meter, PrivacyTarget(split, attack_accuracy=0.6)])
    build().fit(*split.members, callbacks=[AdversarialTraining(split.reference), SnapshotRecorder((1, 2))])
    for wrapper in (
        mpreg.RelaxLoss(build(), alpha=0.5),
        mpreg.HAMP(build(), gamma=0.5, alpha=0.1),
        mpreg.MixUpMMD(build(), split.reference),
        mpreg.ConfidencePenalty(build(), weight=0.1),
        mpreg.LabelSmoothing(build(), smoothing=0.1),
        mpreg.ConvexConcaveLoss(build(), alpha=0.5),
    ):
        wrapper.compile("adam", "sparse_categorical_crossentropy")
    private = mpreg.DPSGD(build(), noise_multiplier=1.0, l2_norm_clip=1.0)
    private.fit(
        mpreg.poisson_batches(*split.members, batch_size=32),
        callbacks=[PrivacyBudget(epsilon=8.0, delta=1e-5)],
    )
    distilled = mpreg.SplitDistillation(build, submodels=4, held_out=2)
    distilled.fit(*split.members, epochs=1)
    mpreg.DistillToReference(build, split.reference).fit(*split.members, epochs=1)
    mpreg.Stacking([build, build], build).fit(*split.members, epochs=1)
    kept = mpreg.Screening(share=0.1, seed=0).fit(*split.members)
    kept = mpreg.PublicScreening(split.reference, least_probability=0.1).fit(*split.members)
    print(kept)
    served = mpreg.defend(mpreg.with_l2(model.target_model, 1e-4), mpreg.Rounding(1), mpreg.TopK(3))
    shadows = mpreg.ShadowFleet(build, count=4, epochs=2)
    return mpreg.evaluate(served, split, attacks="strong", shadows=shadows, seed=0)


def read(report: mpreg.PrivacyReport) -> float:
    strongest: mpreg.AttackResult = report.strongest
    print(report.to_markdown(), report.generalization_gap, report.best_at_low_fpr.name)
    report.to_json("report.json")
    comparison: mpreg.Comparison = mpreg.compare({"undefended": report, "defended": report})
    print(comparison.to_markdown())
    write_report("logs", report)
    write_hparams("logs", hparams={"penalty": 3.0}, report=report)
    mine = [attacks.ThresholdAttack("loss"), attacks.LikelihoodRatioAttack()]
    other = mpreg.evaluate_predictions([[0.9, 0.1]], [0], [[0.4, 0.6]], [1], attacks=mine)
    area: float = metrics.auc(strongest.member_scores, strongest.nonmember_scores)
    return (
        area
        + metrics.tpr_at_fpr(strongest.member_scores, [0.1, 0.2], fpr=0.01)
        + float(other.attack_accuracy)
    )


def run(defended: mpreg.MembershipSplit) -> str:
    data = datasets.load("digits")
    setting = catalogue.SETTINGS["digits"].replace(epochs=3)
    model = setting.compile(setting.build_model(data, seed=0))
    protected = mpreg.protect(build, defended)
    return f"{model} {protected.why} {mpreg.audit_dp(model, (data.features, data.labels), batch_size=8, epochs=1)}"

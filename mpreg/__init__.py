"""mpreg: train Keras classifiers that do not betray who they were trained on, and prove it.

Public names load on first use, so `import mpreg` and `mpreg --help` do not import TensorFlow.
"""

from mpreg import _checkout, _registration
from mpreg._on_use import load_on_use

__version__ = "0.1.0"

# Public classes that are saved with a model.
_SAVED = {
    "AdversarialRegularization": "mpreg.training",
    "ConfidencePenalty": "mpreg.training",
    "ConvexConcaveLoss": "mpreg.training",
    "DPSGD": "mpreg.private",
    "Distillation": "mpreg.training",
    "HAMP": "mpreg.training",
    "LabelOnly": "mpreg.outputs.label_only",
    "LabelSmoothing": "mpreg.training",
    "MemGuard": "mpreg.outputs.memguard",
    "MixUpMMD": "mpreg.training",
    "RankOnly": "mpreg.outputs.rank_only",
    "RelaxLoss": "mpreg.training",
    "Rounding": "mpreg.outputs.rounding",
    "Temperature": "mpreg.outputs.temperature",
    "TopK": "mpreg.outputs.topk",
}
# Classes that are saved inside of these.
_SAVED_INSIDE = {
    "AdaptiveClip": "mpreg.private.adaptive",
    "AutomaticClip": "mpreg.private.automatic",
    "ConcaveTerm": "mpreg.training.convex_concave",
    "ConfidenceSummary": "mpreg.networks.inference",
    "Discrepancy": "mpreg.training.mmd.discrepancy",
    "Distilling": "mpreg.training.distillation",
    "EntropyBonus": "mpreg.training.core.entropy_bonus",
    "HighEntropyLabels": "mpreg.training.core.soft_labels",
    "MembershipGame": "mpreg.training.game.game",
    "Mixing": "mpreg.training.mmd.mixing",
    "Relaxation": "mpreg.training.relaxloss",
    "SmoothedLabels": "mpreg.training.core.soft_labels",
    "TrainingDefence": "mpreg.training.core.defence",
    "TwoClasses": "mpreg.outputs.defend",
}
_EXPORTS = {
    **_SAVED,
    "AttackResult": "mpreg.evaluation.result",
    "Comparison": "mpreg.evaluation.comparison",
    "DistillToReference": "mpreg.ensembles",
    "Fleet": "mpreg.fleet",
    "FleetScorer": "mpreg.fleet",
    "MembershipInvariantTraining": "mpreg.ensembles",
    "MembershipSplit": "mpreg.data",
    "PrivacyReport": "mpreg.evaluation.report",
    "PublicScreening": "mpreg.data",
    "Screening": "mpreg.data",
    "ShadowFleet": "mpreg.attacks.shadow.training",
    "ShadowModels": "mpreg.attacks.shadow.models",
    "ShadowTraining": "mpreg.attacks.shadow.training",
    "SplitDistillation": "mpreg.ensembles",
    "Stacking": "mpreg.ensembles",
    "audit_dp": "mpreg.private",
    "compare": "mpreg.evaluation.comparison",
    "defend": "mpreg.outputs.defend",
    "evaluate": "mpreg.evaluation.evaluate",
    "evaluate_predictions": "mpreg.evaluation.evaluate",
    "plant_canaries": "mpreg.data",
    "poisson_batches": "mpreg.private",
    "preset": "mpreg.training",
    "protect": "mpreg.protection",
    "screen": "mpreg.data",
    "with_dropout": "mpreg.classifiers.rebuild",
    "with_l2": "mpreg.classifiers.rebuild",
}
_MODULES = (
    "attacks",
    "audit",
    "callbacks",
    "catalogue",
    "data",
    "datasets",
    "ensembles",
    "evaluation",
    "federated",
    "fleet",
    "gradients",
    "internals",
    "metrics",
    "networks",
    "outputs",
    "private",
    "protection",
    "recipes",
    "reports",
    "signals",
    "testing",
    "training",
)

__all__ = sorted([*_EXPORTS, *_MODULES])
__getattr__, __dir__ = load_on_use(__name__, {**_EXPORTS, **{name: f"mpreg.{name}" for name in _MODULES}})

_checkout.map_folders()
_registration.when_keras_is_there({**_SAVED, **_SAVED_INSIDE})

"""mpreg: train Keras classifiers that do not betray who they were trained on, and prove it.

Public names load on first use, so `import mpreg` and `mpreg --help` do not import TensorFlow.
"""

import importlib
import os

from mpreg import _registration

__version__ = "0.1.0"

_EXPORTS = {
    "AdversarialRegularization": "mpreg.training",
    "AttackResult": "mpreg.evaluation.report",
    "Comparison": "mpreg.evaluation.comparison",
    "ConfidencePenalty": "mpreg.training",
    "DPSGD": "mpreg.private",
    "DistillToReference": "mpreg.ensembles",
    "Distillation": "mpreg.training",
    "Fleet": "mpreg.fleet",
    "HAMP": "mpreg.training",
    "LabelOnly": "mpreg.outputs.label_only",
    "LabelSmoothing": "mpreg.training",
    "MemGuard": "mpreg.outputs.memguard",
    "MembershipSplit": "mpreg.data",
    "MixUpMMD": "mpreg.training",
    "PrivacyReport": "mpreg.evaluation.report",
    "RankOnly": "mpreg.outputs.rank_only",
    "RelaxLoss": "mpreg.training",
    "Rounding": "mpreg.outputs.rounding",
    "ShadowFleet": "mpreg.attacks.shadow.training",
    "ShadowModels": "mpreg.attacks.shadow.models",
    "ShadowTraining": "mpreg.attacks.shadow.training",
    "SplitDistillation": "mpreg.ensembles",
    "Stacking": "mpreg.ensembles",
    "Temperature": "mpreg.outputs.temperature",
    "TopK": "mpreg.outputs.topk",
    "audit_dp": "mpreg.private",
    "compare": "mpreg.evaluation.comparison",
    "defend": "mpreg.outputs.defend",
    "evaluate": "mpreg.evaluation.evaluate",
    "evaluate_predictions": "mpreg.evaluation.evaluate",
    "poisson_batches": "mpreg.private",
    "preset": "mpreg.training",
    "with_dropout": "mpreg.training.rebuild",
    "with_l2": "mpreg.training.rebuild",
}
_MODULES = (
    "attacks",
    "callbacks",
    "datasets",
    "ensembles",
    "fleet",
    "gradients",
    "metrics",
    "networks",
    "outputs",
    "recipes",
    "signals",
)

__all__ = sorted([*_EXPORTS, *_MODULES])


def _find_source_checkout():
    """In a checkout, `callbacks/` and `recipes/` lie beside this package, not in it: look there too."""
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(here)
    markers = (("setup.py",), ("callbacks", "__init__.py"), ("recipes", "__init__.py"))
    if not os.path.isdir(os.path.join(here, "callbacks")) and all(
        os.path.isfile(os.path.join(root, *marker)) for marker in markers
    ):
        __path__.append(root)


_find_source_checkout()


def __getattr__(name):
    if name in _EXPORTS:
        value = getattr(importlib.import_module(_EXPORTS[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"mpreg.{name}")
    else:
        raise AttributeError(f"module 'mpreg' has no attribute {name!r}. Public names: {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__])


_registration.when_keras_is_there()

"""One point of a sweep for TensorBoard's HParams page: what was chosen, and what it led to."""

import numbers
import os
from typing import Any

import numpy as np
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb

from mpreg._validate import short_repr
from mpreg.reports.schema import strongest_of
from mpreg.reports.tensorboard.report import FOLDER, read_report
from mpreg.reports.tensorboard.run import Run
from mpreg.reports.tensorboard.summaries import scalars

FPR = 0.01
METRICS = {
    "report/test_accuracy": "test accuracy",
    "report/attack_accuracy": "attack accuracy",
    "report/train_accuracy": "training accuracy",
    f"report/attack_tpr_at_fpr_{FPR}": "TPR at 1 % FPR",
    "report/attack_auc": "attack AUC",
}


def write_hparams(log_dir: str | os.PathLike[str], *, hparams: Any, report: Any, choices: Any = None) -> str:
    """Writes one point of a sweep for TensorBoard, into the run `report` of a folder.

    With a folder a point beneath one folder, `tensorboard --logdir` of that one shows the sweep in its HParams tab:
    the scatter plot of test accuracy against attack accuracy is the privacy-utility frontier. All points of a sweep
    need the same names of hyperparameters.

    Args:
        log_dir: the folder of the point's logs.
        hparams: what was chosen, a dict from name to number, text or bool.
        report: the `PrivacyReport` of what came of it, or its document.
        choices: for a text among them the list of all that the sweep chooses from, by name: boxes to tick in HParams.

    Returns:
        The path of the run.

    Raises:
        ValueError: no hyperparameters, or a value that is neither number nor text nor bool.
        TypeError: something that is not a report.

    Example:
    ```python
    for penalty in (0.3, 1.0, 3.0):
        report = mpreg.evaluate(train(penalty), split)
        write_hparams(f"logs/penalty-{penalty}", hparams={"penalty": penalty}, report=report)
    ```
    """
    from tensorboard.plugins.hparams import summary  # imports TensorFlow

    report = read_report(report)
    infos = _infos(hparams, choices or {})
    strongest = strongest_of(report)
    reached = [
        report["test_accuracy"],
        report["attack_accuracy"],
        report["train_accuracy"],
        strongest["tpr_at_fpr"][str(FPR)],
        strongest["auc"],
    ]
    shown = dict(METRICS)
    if report.get("canaries"):
        shown["report/canary_attack_accuracy"] = "attack accuracy on canaries"
        reached.append(report["canaries"]["attack_accuracy"])
    metrics = [
        api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=name) for tag, name in shown.items()
    ]
    trial = ", ".join(map(str, hparams.values()))
    folder = os.path.join(log_dir, FOLDER)
    with Run(folder) as run:
        run.write(
            0,
            summary.experiment_pb(infos, metrics),
            hparams_pb(hparams, trial_id=trial),
            scalars(dict(zip(shown, map(float, reached), strict=True))),
            summary.session_end_pb(api_pb2.STATUS_SUCCESS),
        )
    return folder


def _infos(hparams, choices):
    if not isinstance(hparams, dict) or not hparams:
        raise ValueError(
            f"hparams must be a dict of at least one value by name. Received: hparams={short_repr(hparams)}"
        )
    infos = [api_pb2.HParamInfo(name=name, type=_type(name, value)) for name, value in hparams.items()]
    for info in infos:
        if info.type == api_pb2.DATA_TYPE_STRING:
            info.domain_discrete.extend(dict.fromkeys([*choices.get(info.name, ()), hparams[info.name]]))
    return infos


def _type(name, value):
    if isinstance(value, bool | np.bool_):
        return api_pb2.DATA_TYPE_BOOL
    if isinstance(value, numbers.Real):
        return api_pb2.DATA_TYPE_FLOAT64
    if isinstance(value, str):
        return api_pb2.DATA_TYPE_STRING
    raise ValueError(f"a hyperparameter must be a number, text or bool. Received: {name}={short_repr(value)}")

"""A finished report as a run of TensorBoard."""

import os

from mpreg._validate import brief
from mpreg.evaluation.report import PrivacyReport
from mpreg.reports.figures import SHOWN
from mpreg.reports.tensorboard.pictures import roc_pictures
from mpreg.reports.tensorboard.run import Run
from mpreg.reports.tensorboard.summaries import attack_scores, image, pr_curve, text, true_class

FOLDER = "report"
MOST_CURVES = 6


def write_report(log_dir, report):
    """Writes a report for TensorBoard, as the run `report` in a folder.

    It shows the table (Text), precision and recall of the strongest attack (PR Curves), ROC of the strongest few,
    linear and log-log (Images), the strongest's scores and the probability of the true class, on members and on
    non-members (Histograms, Distributions).

    Args:
        log_dir: the folder of the model's logs, such as that of `PrivacyMeter` and `keras.callbacks.TensorBoard`.
        report: a `PrivacyReport`.

    Returns:
        The path of the run.

    Raises:
        TypeError: something that is not a report.

    Example:
    ```python
    write_report("logs/advreg", mpreg.evaluate(model, split))
    ```
    """
    check_report(report)
    ranked = sorted(report.attacks.values(), key=lambda result: -result.accuracy)[:MOST_CURVES]
    curves = {result.name: (result.member_scores, result.nonmember_scores) for result in ranked}
    strongest = ranked[0].name, *curves[ranked[0].name]
    summaries = [
        text("report", report.to_markdown()),
        pr_curve(*strongest),
        *(image(f"ROC/{scale}", png) for scale, png in roc_pictures(curves).items()),
        attack_scores(*strongest),
    ]
    if SHOWN in report.attacks:
        shown = report.attacks[SHOWN]
        summaries.append(true_class(shown.member_scores, shown.nonmember_scores))
    folder = os.path.join(log_dir, FOLDER)
    with Run(folder) as run:
        run.write(0, *summaries)
    return folder


def check_report(report):
    if not isinstance(report, PrivacyReport):
        raise TypeError(f"report must be an mpreg.PrivacyReport. Received: {brief(report)}")

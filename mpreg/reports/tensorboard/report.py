"""A finished report as a run of TensorBoard."""

import os
from typing import Any

from mpreg._validate import short_repr
from mpreg.reports.markdown import render_markdown
from mpreg.reports.schema import REPORT, ranked, read
from mpreg.reports.tensorboard.pictures import roc_pictures
from mpreg.reports.tensorboard.run import Run
from mpreg.reports.tensorboard.summaries import attack_scores, image, pr_curve, text, true_class

FOLDER = "report"
MAX_CURVES = 6


def write_report(log_dir: str | os.PathLike[str], report: Any, *, scores: Any = None) -> str:
    """Writes a report for TensorBoard, as the run `report` in a folder.

    It shows the table (Text), precision and recall of the strongest attack (PR Curves), ROC of the strongest few,
    linear and log-log (Images), the strongest's scores and the probability of the true class, on members and on
    non-members (Histograms, Distributions).

    Args:
        log_dir: the folder of the model's logs, such as that of `PrivacyMeter` and `keras.callbacks.TensorBoard`.
        report: a `PrivacyReport`, or its document.
        scores: scores of members and of non-members by attack, which a document has not; None takes the report's.

    Returns:
        The path of the run.

    Raises:
        TypeError: something that is not a report, or a document without scores.

    Example:
    ```python
    write_report("logs/advreg", mpreg.evaluate(model, split))
    ```
    """
    document = read_report(report)
    scores = getattr(report, "scores", None) if scores is None else scores
    if scores is None:
        raise TypeError("a document holds no scores of single records: give scores=report.scores too")
    attacks = [attack["name"] for attack in ranked(document)]
    strongest = attacks[0], *scores[attacks[0]]
    pictures = roc_pictures({name: scores[name] for name in attacks[:MAX_CURVES]})
    summaries = [
        text("report", render_markdown(document)),
        pr_curve(*strongest),
        *(image(f"ROC/{scale}", png) for scale, png in pictures.items()),
        attack_scores(*strongest),
    ]
    shown = document.get("true_class_probability")
    if shown is not None:
        summaries.append(true_class(*scores[shown["attack"]]))
    folder = os.path.join(log_dir, FOLDER)
    with Run(folder) as run:
        run.write(0, *summaries)
    return folder


def read_report(report):
    """The document of a report.

    Raises:
        TypeError: something that is not a report.
    """
    try:
        document = read(report)
    except ValueError:
        document = {}
    if document.get("schema") != REPORT:
        raise TypeError(f"report must be an mpreg.PrivacyReport. Received: {short_repr(report)}")
    return document

"""A report as metrics, tags and files of an MLflow run."""

from mpreg._files import write_json
from mpreg.reports.html import render_html
from mpreg.reports.markdown import render_markdown
from mpreg.reports.schema import read
from mpreg.reports.trackers.numbers import numbers_of, strongest_by_model


def log_to_mlflow(subject, *, folder="privacy"):
    """Logs a report, a comparison or an audit to the active MLflow run; where there is none, MLflow starts one.

    Metrics are `report/attack_accuracy` and its like, with `_low` and `_high`; the strongest attack is a tag; the
    page, its JSON and Markdown are files. Needs `pip install "mpreg[mlflow]"`.

    Epochs need nothing of this: `PrivacyMeter` writes into Keras' `logs`, which MLflow's own callback logs if it
    comes after it.

    Args:
        subject: a document of `docs/report-schema.md`, or what gives one by `to_dict()`, such as a `PrivacyReport`.
        folder: of the files among the run's artifacts.

    Raises:
        ImportError: MLflow is not installed.
        ValueError: no such document.

    Example:
    ```python
    with mlflow.start_run():
        model.fit(*split.members, callbacks=[PrivacyMeter(split), mlflow.keras.MlflowCallback()])
        log_to_mlflow(mpreg.evaluate(model, split))
    ```
    """
    try:
        import mlflow
    except ImportError as error:
        raise ImportError('MLflow is not installed. Use: pip install "mpreg[mlflow]"') from error
    given = subject.to_dict() if hasattr(subject, "to_dict") else subject
    document = read(given)
    mlflow.log_metrics(numbers_of(document))
    mlflow.set_tags({f"mpreg.{name}": text for name, text in strongest_by_model(document).items()})
    mlflow.log_text(render_html(given), f"{folder}/report.html")
    mlflow.log_text(write_json(given), f"{folder}/report.json")
    mlflow.log_text(render_markdown(given), f"{folder}/report.md")

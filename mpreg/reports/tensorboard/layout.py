"""The page of custom scalars: utility beside leakage."""

from tensorboard.plugins.custom_scalar import layout_pb2, summary

from mpreg.metrics import FPRS

UTILITY = ("train_accuracy", "test_accuracy")
LEAKAGE = ("attack_accuracy", "attack_auc", "attack_advantage")
LOW = tuple(f"attack_tpr_at_fpr_{fpr}" for fpr in FPRS)
BAND = ("attack_accuracy", "attack_accuracy_low", "attack_accuracy_high")


def layout():
    """The layout, as a summary, for runs that have the tags of `PrivacyMeter`."""
    value, lower, upper = BAND
    band = layout_pb2.MarginChartContent.Series(value=value, lower=lower, upper=upper)
    charts = [
        _lines("Utility: training and test accuracy", UTILITY),
        layout_pb2.Chart(
            title="Leakage: strongest attack, 95 % interval",
            margin=layout_pb2.MarginChartContent(series=[band]),
        ),
    ]
    ranked = [
        _lines("Attack: accuracy, AUC, advantage", LEAKAGE),
        _lines("Attack: members found at a low false positive rate", LOW),
    ]
    categories = [
        layout_pb2.Category(title="Privacy and utility", chart=charts),
        layout_pb2.Category(title="The strongest attack", chart=ranked),
    ]
    return summary.pb(layout_pb2.Layout(category=categories))


def _lines(title, tags):
    # Keras writes the same figures as `epoch_...` where its own callback comes after the meter.
    exact = [f"^{tag}$" for tag in tags]
    return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=exact))

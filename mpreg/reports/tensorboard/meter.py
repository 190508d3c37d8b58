"""What `PrivacyMeter` sees, epoch by epoch, as the run `privacy` of TensorBoard."""

import os

from mpreg.reports.tensorboard.layout import layout
from mpreg.reports.tensorboard.pictures import roc_pictures
from mpreg.reports.tensorboard.run import Run
from mpreg.reports.tensorboard.summaries import attack_scores, image, pr_curve, scalars, true_class

FOLDER = "privacy"
DESCRIPTIONS = {
    "train_accuracy": "Of the model, on members.",
    "test_accuracy": "Of the model, on non-members.",
    "attack_accuracy": "Of the strongest attack; guessing: 0.5. Its page with the interval: Custom Scalars.",
    "attack_accuracy_low": "Lower 95 % limit, for all attacks at once.",
    "attack_accuracy_high": "Upper 95 % limit, for all attacks at once.",
    "attack_auc": "Area under the ROC of the strongest attack; guessing: 0.5.",
    "attack_advantage": "Largest TPR - FPR of the strongest attack; guessing: 0, and a little more by chance.",
    "attack_records": "Members, and as many non-members, that were judged.",
    "privacy_meter_cost": "Time of the measurement as a share of the epoch's.",
}


class MeterRun:
    """The run of one or more trainings.

    Args:
        log_dir: folder of the model's logs.
    """

    def __init__(self, log_dir):
        self._run = Run(os.path.join(log_dir, FOLDER))
        self._run.write(0, layout())
        self._last = None

    def write(self, epoch, figures, sight):
        """Writes one measurement.

        Args:
            epoch: its step.
            figures: numbers by name.
            sight: `EpochScores`, or None where the model's answers could not be read.
        """
        shown = [scalars(figures, DESCRIPTIONS)]
        if sight is not None:
            strongest = sight.attack, *sight.scores
            shown += [true_class(*sight.losses), attack_scores(*strongest), pr_curve(*strongest)]
            self._last = epoch, sight
        self._run.write(epoch, *shown)

    def close(self):
        """Adds the ROC of the last measurement and closes the file."""
        if self._last is not None:
            epoch, sight = self._last
            pictures = roc_pictures({sight.attack: sight.scores})
            self._run.write(epoch, *(image(f"ROC/{scale}", png) for scale, png in pictures.items()))
        self._run.close()

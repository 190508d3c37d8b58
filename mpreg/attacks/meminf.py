"""Compatibility with the names of ml_privacy_meter's former white-box attack.

```python
import mpreg as ml_privacy_meter

attackobj = ml_privacy_meter.attacks.meminf.initialize(
    target_train_model=cmodel,
    target_attack_model=cmodel,
    train_datahandler=datahandler,
    attack_datahandler=datahandler,
    optimizer="adam",
    layers_to_exploit=[3, 4, 5],
    gradients_to_exploit=[5],
    exploit_loss=True,
    exploit_label=True,
    learning_rate=0.0001,
    epochs=100,
)
attackobj.train_attack()
attackobj.test_attack()
```

New programs do better with `mpreg.evaluate(model, split, attacks="whitebox")`.
"""

from pathlib import Path

import numpy as np

from mpreg import metrics, signals
from mpreg._files import replacing
from mpreg.attacks.access import Access
from mpreg.attacks.whitebox.attack import WhiteBoxAttack
from mpreg.data import label_indices
from mpreg.datasets.privacy_meter import attack_data as attack_data
from mpreg.datasets.privacy_meter import parts_of
from mpreg.metrics import Estimate


class initialize:
    """Fits a white-box attack on one model and applies it to another, or to other records.

    Args:
        target_train_model: the model that the attack learns from.
        target_attack_model: the model that it judges; it may be the same.
        train_datahandler, attack_datahandler: for either, an `attack_data` or a `MembershipSplit` (of which it learns
            from one half and judges the other). Records that are learned from are not judged.
        optimizer: of the attack's training, by name.
        layers_to_exploit, gradients_to_exploit, exploit_loss, exploit_label: as for `WhiteBoxAttack`; layers are
            counted from 1, those with gradients among the layers that have weights.
        learning_rate, epochs: of the attack's training.
        encoders: as for `WhiteBoxAttack`.
        exploit_sizes: as for `WhiteBoxAttack`.
        seed: seed of the attack.
        device, model_name: accepted and unused.

    Attributes:
        attack_accuracy, auc: of the records judged, `Estimate`s with 95 % intervals, once trained.
        member_probs, nonmember_probs: probability of membership, float (n,), of the records judged, once trained.
    """

    def __init__(
        self,
        target_train_model,
        target_attack_model,
        train_datahandler,
        attack_datahandler,
        device=None,
        optimizer="adam",
        model_name=None,
        layers_to_exploit=None,
        gradients_to_exploit=None,
        exploit_loss=True,
        exploit_label=True,
        learning_rate=0.001,
        epochs=100,
        *,
        encoders="compact",
        exploit_sizes=False,
        seed=0,
    ):
        known, _ = parts_of(train_datahandler)
        _, self.judged = parts_of(attack_datahandler)
        self.model, self.seed = target_attack_model, seed
        self.attack = WhiteBoxAttack(
            layers_to_exploit=layers_to_exploit,
            gradients_to_exploit=gradients_to_exploit,
            exploit_sizes=exploit_sizes,
            exploit_loss=exploit_loss,
            exploit_label=exploit_label,
            encoders=encoders,
            other=(target_train_model, known),
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=getattr(train_datahandler, "batch_size", None),
            optimizer=optimizer,
        )

    def train_attack(self):
        """Trains the attack model and scores the other records; returns self."""
        sides = self.judged.members, self.judged.nonmembers
        answers = signals.read_both(*((signals.predict(self.model, x), y) for x, y in sides))
        inputs = tuple(x for x, _ in sides)
        access = Access(*answers, inputs=inputs, model=self.model, seed=self.seed)
        rows = self.attack.prepare(access)
        scores = self.attack.score(rows)
        probabilities = 1 / (1 + np.exp(-scores))
        self.member_probs, self.nonmember_probs = np.split(probabilities, [len(answers[0])])
        found = self.member_probs, self.nonmember_probs
        decisions = [side >= 0.5 for side in found]
        self.attack_accuracy = Estimate(
            metrics.balanced_accuracy(*decisions), *metrics.balanced_accuracy_interval(*decisions)
        )
        self.auc = Estimate(metrics.auc(*found), *metrics.auc_interval(*found))
        return self

    def test_attack(self, folder="logs"):
        """Writes the results to a folder: `member_probs.npy`, `nonmember_probs.npy`, `plots/membership.png`.

        Raises:
            RuntimeError: the attack is not trained.
        """
        if not hasattr(self, "member_probs"):
            raise RuntimeError("the attack is not trained: call train_attack() first")
        from mpreg.reports.membership import plot_membership  # it imports matplotlib

        folder = Path(folder)
        (folder / "plots").mkdir(parents=True, exist_ok=True)
        for name in ("member_probs", "nonmember_probs"):
            with replacing(folder / f"{name}.npy") as written:
                np.save(written, getattr(self, name))
        labels = [label_indices(y) for _, y in (self.judged.members, self.judged.nonmembers)]
        path = folder / "plots" / "membership.png"
        plot_membership((self.member_probs, self.nonmember_probs), labels, path)
        return path

"""Peers of `benchmarks/attacks.py`: tensorflow-empirical-privacy, ART, privacy-meter, each in its own interpreter.

`benchmarks/attacks.py --peer NAME=PYTHON` starts it; `serving.py` says how they talk.
"""

import importlib.metadata
import os
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from serving import serve, timed

SIGNALS = "loss", "modified entropy"


def open_empirical_privacy(path, few):
    """Versions, thresholds on all answers and by class, and trained attackers on some of them.

    Of its forests there are 216 to fit for each half of the records: they are left out.
    """
    from tensorflow_privacy.privacy.privacy_tests.membership_inference_attack import (
        data_structures as data,
    )
    from tensorflow_privacy.privacy.privacy_tests.membership_inference_attack import (
        membership_inference_attack as attacks,
    )

    kinds = data.AttackType
    thresholds = kinds.THRESHOLD_ATTACK, kinds.THRESHOLD_ENTROPY_ATTACK
    everything, some = (
        data.AttackInputData(
            logits_train=members[0],
            labels_train=members[1],
            logits_test=others[0],
            labels_test=others[1],
        )
        for members, others in (read_sides(path), read_sides(path, int(few)))
    )

    def run(given, types, by_class=False):
        slicing = data.SlicingSpec(entire_dataset=True, by_class=by_class)
        found = attacks.run_attacks(given, slicing_spec=slicing, attack_types=types).single_attack_results
        return [float(one.get_auc()) for one in found]

    works = {
        "peer, two thresholds": lambda: run(everything, thresholds),
        "peer, also by class": lambda: run(everything, thresholds, by_class=True),
        "peer, logistic regression on all": lambda: run(everything, (kinds.LOGISTIC_REGRESSION,)),
        "peer, logistic regression": lambda: run(some, (kinds.LOGISTIC_REGRESSION,)),
        "peer, neighbours": lambda: run(some, (kinds.K_NEAREST_NEIGHBORS,)),
        "peer, network": lambda: run(some, (kinds.MULTI_LAYERED_PERCEPTRON,)),
    }
    return open_works(works, "tensorflow-empirical-privacy", "tensorflow", "scikit-learn")


def open_art(path, few):
    """Versions, and learned attacks on some of the answers: of each half of the records by the other."""
    from art.attacks.inference.membership_inference import MembershipInferenceBlackBox
    from art.estimators.classification import BlackBoxClassifier
    from sklearn.metrics import roc_auc_score

    members, others = read_sides(path, int(few))
    classes = members[0].shape[1]
    estimator = BlackBoxClassifier(lambda x: x, input_shape=(classes,), nb_classes=classes)

    def run(kind):
        scores, truth = [], []
        for half in (0, 1):
            attack = MembershipInferenceBlackBox(estimator, attack_model_type=kind)
            (pred, y), (test_pred, test_y) = ((x[half::2], y[half::2]) for x, y in (members, others))
            attack.fit(pred=pred, y=y, test_pred=test_pred, test_y=test_y)
            for label, (x, y) in ((1, members), (0, others)):
                judged = x[1 - half :: 2], y[1 - half :: 2]
                found = attack.infer(None, judged[1], pred=judged[0], probabilities=True)
                scores.append(np.asarray(found).reshape(len(judged[1]), -1)[:, -1])
                truth.append(np.full(len(judged[1]), label))
        return [float(roc_auc_score(np.concatenate(truth), np.concatenate(scores)))]

    names = {"rf": "random forest", "gb": "boosted trees", "lr": "logistic regression"}
    works = {f"ART, {name}": lambda kind=kind: run(kind) for kind, name in names.items()}
    return open_works(works, "adversarial-robustness-toolbox", "scikit-learn")


def open_privacy_meter(path, few):
    """Versions, and its population attack: a threshold on the loss, set by records that are no members."""
    from privacy_meter.dataset import Dataset
    from privacy_meter.hypothesis_test import linear_itp_threshold_func
    from privacy_meter.information_source import InformationSource
    from privacy_meter.information_source_signal import ModelLoss
    from privacy_meter.metric import PopulationMetric
    from privacy_meter.model import Model

    members, others = read_sides(path)
    half = len(others[1]) // 2
    splits = {
        "train": {"x": members[0], "y": members[1]},
        "test": {"x": others[0][:half], "y": others[1][:half]},
        "population": {"x": others[0][half:], "y": others[1][half:]},
    }
    dataset = Dataset(splits, default_input="x", default_output="y")

    class Answers(Model):
        """A model whose inputs are its answers."""

        def get_logits(self, batch_samples):
            return batch_samples

        def get_loss(self, batch_samples, batch_labels, per_point=True):
            return losses(batch_samples, batch_labels)

        def get_grad(self, batch_samples, batch_labels):
            raise NotImplementedError

        def get_intermediate_outputs(self, layers, batch_samples, forward_pass=True):
            raise NotImplementedError

    def run():
        source = InformationSource(models=[Answers(None, None)], datasets=[dataset])
        metric = PopulationMetric(
            target_info_source=source,
            reference_info_source=source,
            signals=[ModelLoss()],
            hypothesis_test_func=linear_itp_threshold_func,
            target_model_to_train_split_mapping=[(0, "train", "x", "y")],
            target_model_to_test_split_mapping=[(0, "test", "x", "y")],
            reference_model_to_train_split_mapping=[(0, "population", "x", "y")],
        )
        metric.prepare_metric()
        (result,) = metric.run_metric()
        return [float(result.roc_auc)]

    return open_works({"privacy-meter, threshold on loss": run}, "privacy-meter", "numpy")


def losses(logits, labels):
    """Cross-entropy by record."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]


def open_works(works, *packages):
    """Versions, ways that take the time of a work, and what areas under the ROC each found."""
    found = {name: areas() for name, areas in works.items()}
    ways = {name: lambda work=work: timed(work) for name, work in works.items()}
    return {package: importlib.metadata.version(package) for package in packages}, ways, found


def read_sides(path, few=None):
    """Logits and labels of members and of non-members, of all or of the first few."""
    with np.load(path) as file:
        return [(file[f"{side}_logits"][:few], file[f"{side}_labels"][:few]) for side in ("member", "other")]


PEERS = {
    "tensorflow-empirical-privacy": open_empirical_privacy,
    "art": open_art,
    "privacy-meter": open_privacy_meter,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with np.errstate(all="ignore"):
        serve(PEERS, *sys.argv[1:])

"""Keras callbacks, imported as `mpreg.callbacks`: they measure, control and write `logs`; they never print."""

from mpreg.callbacks.adversarial_training import AdversarialTraining as AdversarialTraining
from mpreg.callbacks.backup import Backup as Backup
from mpreg.callbacks.privacy_budget import PrivacyBudget as PrivacyBudget
from mpreg.callbacks.privacy_meter import PrivacyMeter as PrivacyMeter
from mpreg.callbacks.privacy_target import PrivacyTarget as PrivacyTarget
from mpreg.callbacks.snapshot_recorder import SnapshotRecorder as SnapshotRecorder

"""Reports in the trackers of experiments that people have: MLflow, and Weights & Biases."""

from mpreg.reports.trackers.mlflow import log_to_mlflow as log_to_mlflow
from mpreg.reports.trackers.wandb import log_to_wandb as log_to_wandb

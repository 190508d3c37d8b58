"""TensorBoard: writes a finished report, and the points of a sweep, as runs."""

from mpreg.reports.tensorboard.hparams import write_hparams as write_hparams
from mpreg.reports.tensorboard.report import write_report as write_report

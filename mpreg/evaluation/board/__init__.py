"""TensorBoard: a finished report, and the points of a sweep, written as runs."""

from mpreg.evaluation.board.hparams import write_hparams as write_hparams
from mpreg.evaluation.board.report import write_report as write_report

"""How low a probability may be before its logarithm is taken, and how far probabilities may miss a sum of one."""

import numpy as np

LOWEST = float(np.finfo(np.float64).tiny)  # for arrays: sure answers keep their order as far as float64 goes
LOWEST_IN_GRAPHS = 1e-30  # for tensors: float32 still has its logarithm and a finite gradient
LOWEST_READ = -50.0  # for classifiers of answers, of log-probabilities: coarse answers hold zeros
ROUNDING = 4e-3  # answers in bfloat16, the coarsest type, still sum to one within this

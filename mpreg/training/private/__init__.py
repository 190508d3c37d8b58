"""DP-SGD: clipping by ghost norms, noise, accounting, sampling and an audit."""

from mpreg.training.private.adaptive import AdaptiveClip as AdaptiveClip
from mpreg.training.private.audit import audit_dp as audit_dp
from mpreg.training.private.dpsgd import DPSGD as DPSGD
from mpreg.training.private.sampling import poisson_batches as poisson_batches

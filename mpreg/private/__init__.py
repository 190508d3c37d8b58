"""DP-SGD: ghost clipping, noise, Poisson sampling, accounting and an audit."""

from mpreg.private.adaptive import AdaptiveClip as AdaptiveClip
from mpreg.private.automatic import AutomaticClip as AutomaticClip
from mpreg.private.dp_audit import audit_dp as audit_dp
from mpreg.private.dpsgd import DPSGD as DPSGD
from mpreg.private.sampling import poisson_batches as poisson_batches

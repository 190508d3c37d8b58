"""Users' mistakes in networks."""

import re

from support.wrong_calls import dense, told, wrong_calls

from mpreg import networks
from mpreg.networks.inference import build_inference_network

CALLS = [
    (
        "a number for an inference network",
        lambda: build_inference_network(3, 10),
        ValueError,
        "inference_network must be one of ['compact', 'nasr2018', 'nasr2018_cifar100', 'nasr2018_texas100'] or a "
        "keras.Model called on "
        "[log_probabilities, labels]. Received: 3",
    ),
    (
        "an inference network of one input",
        lambda: build_inference_network(dense(), 3),
        ValueError,
        re.compile(
            r"inference_network must accept \[log_probabilities, labels\], both of shape \(n, 3\)\. "
            r"Calling it failed: .*",
            re.DOTALL,
        ),
    ),
    (
        "a single class",
        lambda: networks.purchase_mlp(classes=1),
        ValueError,
        "classes must be an integer of at least 2. Received: classes=1",
    ),
    (
        "a depth that no DenseNet has",
        lambda: networks.densenet_bc(classes=10, depth=41),
        ValueError,
        "depth must be 6n + 4 for n bottlenecks a block, such as 22, 40 or 100. Received: depth=41",
    ),
]


@wrong_calls(CALLS)
def test_a_wrong_call_is_told_what_is_wrong(call, error, message):
    told(call, error, message)

"""What TensorBoard shows, as summary protos: each a function of plain numbers."""

import struct

import numpy as np
from scipy.stats import rankdata
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.pr_curve import summary as pr_curve_summary
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.util.tensor_util import make_tensor_proto

BUCKETS = 30
THRESHOLDS = 101
SIDES = ("members", "non-members")


def scalars(values, descriptions=None):
    """A number by tag, each with a description where there is one."""
    descriptions = descriptions or {}
    joined = Summary()
    for tag, value in values.items():
        joined.MergeFrom(scalar_pb(tag, value, description=descriptions.get(tag)))
    return joined


def histograms(tag, member_shares, nonmember_shares, *, description=None):
    """Two histograms of numbers from 0 to 1, over the same edges: `<tag>/members` and `<tag>/non-members`."""
    joined = Summary()
    for name, side in zip(SIDES, (member_shares, nonmember_shares), strict=True):
        counts, edges = np.histogram(side, BUCKETS, (0.0, 1.0))
        metadata = histogram_metadata.create_summary_metadata(None, description)
        table = np.stack([edges[:-1], edges[1:], counts], axis=1)
        joined.value.add(tag=f"{tag}/{name}", metadata=metadata, tensor=make_tensor_proto(table))
    return joined


def true_class(member_losses, nonmember_losses):
    """Histograms of the probability of the true class, from its logarithms."""
    sides = (np.minimum(np.exp(side), 1.0) for side in (member_losses, nonmember_losses))
    said = "What the model answers for the true class: near 1 for what it knows by heart."
    return histograms("probability of the true class", *sides, description=said)


def attack_scores(attack, member_scores, nonmember_scores):
    """Histograms of an attack's scores, each as the share of all records that score no higher.

    Raw scores of two attacks, or of two epochs, are on scales of their own.
    """
    said = f"Share of all records that score no higher. The strongest attack: {attack}."
    sides = _percentiles(member_scores, nonmember_scores)
    return histograms("score of the strongest attack", *sides, description=said)


def pr_curve(attack, member_scores, nonmember_scores):
    """Precision and recall of an attack's "member" at thresholds that cut off equal shares of the records.

    Both sides weigh the same, as in all figures, so that guessing has a precision of one half.
    """
    # TensorBoard spaces its thresholds evenly over [0, 1], where raw scores may bunch up.
    shares = np.concatenate(_percentiles(member_scores, nonmember_scores))
    labels = np.arange(len(shares)) < len(member_scores)
    weights = np.where(labels, 1.0, len(member_scores) / len(nonmember_scores))
    said = f"Guessing has a precision of 0.5. The strongest attack: {attack}."
    found = pr_curve_summary.pb("strongest attack", labels, shares, THRESHOLDS, weights, description=said)
    return Summary.FromString(found.SerializeToString())


def _percentiles(member_scores, nonmember_scores):
    """For each record the share of all records that score no higher; equal scores are equal, the highest is 1."""
    scores = np.concatenate([member_scores, nonmember_scores])
    return np.split(rankdata(scores, "max") / len(scores), [len(member_scores)])


def image(tag, png, *, description=None):
    """A picture, given as the bytes of a PNG."""
    width, height = struct.unpack(">II", png[16:24])  # of its header
    tensor = make_tensor_proto([str(width).encode(), str(height).encode(), png])
    metadata = image_metadata.create_summary_metadata(None, description)
    summary = Summary()
    summary.value.add(tag=tag, metadata=metadata, tensor=tensor)
    return summary


def text(tag, markdown):
    """Markdown text."""
    return text_pb(tag, markdown)

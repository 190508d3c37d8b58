"""Detects that the inference network has collapsed, so that the defence would silently do nothing."""

import warnings

import keras
import tensorflow as tf

BLIND_ADVANTAGE = 0.02  # an inference network below this tells nothing
PLAIN_AUC = 0.55  # a threshold on one signal above this tells something
MIN_STEPS = 50  # a network that has learned for less is young, not collapsed


class BatchEvidence:
    """Accumulates, on the device, what the inference network and a plain threshold distinguish in each batch.

    The threshold attack is the Mann-Whitney AUC of the true class's log-probability, members against
    reference: it chooses no threshold, so its mean over batches does not lean upward.
    """

    def __init__(self, state):
        self.steps = state("evidence_steps", 0.0)
        self.advantage = state("evidence_advantage", 0.0)
        self.auc = state("evidence_auc", 0.0)

    def update(self, advantage, members, present, reference):
        member, other = (tf.reduce_sum(scores * labels, axis=-1) for scores, labels in (members, reference))
        above = 0.5 * (1.0 + tf.sign(member[:, None] - other[None, :]))
        auc = tf.reduce_sum(tf.reduce_mean(above, axis=1) * present) / tf.maximum(tf.reduce_sum(present), 1.0)
        self.steps.assign_add(1.0)
        self.advantage.assign_add(advantage)
        self.auc.assign_add(auc)

    def reset(self):
        for total in (self.steps, self.advantage, self.auc):
            total.assign(0.0)


def collapsed(evidence):
    """Returns whether the inference network fails in an epoch where a plain threshold succeeds."""
    steps = float(evidence.steps.numpy())
    if steps < MIN_STEPS:
        return False
    advantage, auc = float(evidence.advantage.numpy()) / steps, float(evidence.auc.numpy()) / steps
    return advantage < BLIND_ADVANTAGE and auc > PLAIN_AUC


def first_vectors(network):
    """Returns the initial biases and scales of a network, which a restart needs: a scale of 0 never recovers."""
    return [
        keras.ops.convert_to_numpy(weight) for weight in network.trainable_variables if len(weight.shape) < 2
    ]


def rewarm(game):
    """Restarts the inference network and its optimizer with new Glorot weights and an epoch of warm-up."""
    vectors, seed = iter(game.first_vectors), int(game.draws.value)
    for index, weight in enumerate(game.inference_network.trainable_variables):
        if len(weight.shape) < 2:
            weight.assign(next(vectors))
        else:
            weight.assign(keras.initializers.GlorotUniform(seed=seed + index)(weight.shape))
    restart(game.attack_optimizer, game.inference_network.trainable_variables)
    game.warmup_left.assign(1.0)


def restart(optimizer, weights):
    """Resets an optimizer's slots; its learning rate and step count are kept."""
    fresh = optimizer.from_config(optimizer.get_config())
    fresh.build(weights)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    scheduled = not hasattr(inner._learning_rate, "assign")
    for slot, value in zip(optimizer.variables, fresh.variables, strict=True):
        if slot.name != "learning_rate" and not (scheduled and slot.name == "iteration"):
            slot.assign(value)


def warn_of_collapse(evidence):
    steps = float(evidence.steps.numpy())
    warnings.warn(
        f"the inference network has collapsed: its advantage over {steps:.0f} batches is "
        f"{float(evidence.advantage.numpy()) / steps:.3f}, while a threshold on the true class's probability has an "
        f"AUC of {float(evidence.auc.numpy()) / steps:.3f} on the same batches. It starts again from fresh weights "
        'and warms up for one epoch. If this repeats, try inference_network="compact" or a higher rate in '
        "attack_optimizer",
        UserWarning,
        stacklevel=2,
    )

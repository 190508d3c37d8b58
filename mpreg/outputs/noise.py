"""MemGuard's first phase: finds noise that makes a membership classifier undecided, for many queries at once."""

import tensorflow as tf

STEP = 0.1
STEPS = 300
LABEL_WEIGHT = 10.0
DISTORTION_WEIGHTS = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
UNDECIDED = 1e-5


def find_noise(log_probabilities, membership_logit):
    """Returns scores near the given ones at which the membership classifier changes its decision.

    For each query: from its logits, steps of length .1 against the gradient of |h| + 10 * (how far the label falls
    behind) + c3 * (L1 distance of the scores), until the label is in front and h has changed its sign, or 300
    steps are over. A success raises c3 tenfold, from .1 to 1e5, and starts anew; the last success counts.

    All queries walk together in one loop, each with its own c3 and its own count of steps. It ends with the last
    of them, after at most 7 * 301 rounds.

    Source: Jia et al., "MemGuard: Defending against Black-Box Membership Inference Attacks via Adversarial
    Examples", CCS 2019, section 4.3, algorithm 1.

    Args:
        log_probabilities: float32 (n, classes), each row in descending order. As published, the classifier reads
            the noisy scores in this order throughout; the noise may well change which is higher.
        membership_logit: a function of scores (n, classes) that gives h, (n,): above 0 for members.

    Returns:
        Scores, float32 (n, classes), as given where no noise was found.
    """
    scores = tf.nn.softmax(log_probabilities)
    before = membership_logit(scores)
    weights = tf.constant(DISTORTION_WEIGHTS)

    def losses(logits, weight):
        noisy = tf.nn.softmax(logits)
        h = membership_logit(noisy)
        behind = tf.reduce_max(logits[:, 1:], axis=1) - logits[:, 0]
        distortion = tf.reduce_sum(tf.abs(noisy - scores), axis=1)
        return noisy, h, behind, tf.abs(h) + LABEL_WEIGHT * tf.nn.relu(behind) + weight * distortion

    def advance(logits, stage, step, walking, found):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(logits)
            noisy, h, behind, loss = losses(logits, tf.gather(weights, stage))
        gradient = tape.gradient(loss, logits)
        success = walking & (step > 0) & (behind <= 0) & (h * before <= 0)
        over = step >= STEPS
        last = stage == len(DISTORTION_WEIGHTS) - 1
        found = tf.where(success[:, None], noisy, found)
        walking = walking & tf.where(success, ~last, ~over)
        moved = logits - STEP * tf.math.divide_no_nan(gradient, tf.norm(gradient, axis=1, keepdims=True))
        return (
            tf.where(success[:, None], log_probabilities, moved),
            tf.where(success & ~last, stage + 1, stage),
            tf.where(success, 0, step + 1),
            walking,
            found,
        )

    zeros = tf.zeros_like(before, tf.int32)
    decided = tf.abs(tf.sigmoid(before) - 0.5) > UNDECIDED
    *_, found = tf.while_loop(
        lambda logits, stage, step, walking, found: tf.reduce_any(walking),
        advance,
        (log_probabilities, zeros, zeros, decided, scores),
    )
    return found

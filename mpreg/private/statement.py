"""What may be claimed of a model, in plain words."""

import textwrap

from mpreg.private.accounting import spent
from mpreg.private.mechanism import tensorflow_privacy

DRAWN = {
    "poisson": "each of {examples} records was in each batch with probability {batch_size} / {examples}, independently "
    "(Poisson sampling), and the epsilon counts with amplification by sampling",
    "shuffled": "batches of {batch_size} were cut from {examples} shuffled records, so that every pass saw every "
    "record once. Amplification by sampling is not proven for shuffled batches and not counted: the epsilon is the "
    "larger one, of {passes} passes over each record. Give fit mpreg.poisson_batches to have it counted",
    "arbitrary": "mpreg could not look into the source of the batches, so it counts as if a record had been in every "
    "one of the {steps} batches. Give fit mpreg.poisson_batches, or arrays, for a smaller epsilon",
}
UNIT = {
    "row": "A record is one row: rows of one person are protected one by one, unless poisson_batches is told whose "
    "they are (record_ids).",
    "id": "A record is all rows that share one of the record_ids.",
}
UNSEEN = (
    "Whether a record stood several times in one batch could not be seen: mpreg does not know how the batches were "
    "made. It compared the rows of each batch and counts equal ones as one record, at most {copies} in a batch; what "
    "follows assumes that no record stood in a batch more often, for instance in altered copies."
)


def write_statement(model, history, delta):
    """The statement on a `DPSGD` model with a history of segments, at a delta."""
    if not history:
        return "No private training step has been taken: nothing of the records has been used, and nothing is claimed."
    cost = spent(history, delta)
    pld = "left out, as it says nothing at this size" if cost.pld is None else f"{cost.pld:.4g}"
    lines = [
        f"Epsilon {cost.epsilon:.4g} at delta {delta:g}, for adding or leaving out one record (its gradient being "
        f"taken as 0). Accountants: Renyi (RDP) {cost.rdp:.4g}, privacy loss distribution (PLD) {pld}; both are upper "
        "bounds, and the smaller one holds. For exchanging one record for another, the noise counts half.",
        "It protects the weights after every step, hence all checkpoints and all answers. It does not cover the loss "
        "and metrics in the training log, or choices made by looking at the training records.",
    ]
    units = {segment.sampling.unit for segment in history}
    lines.append(UNIT["id" if units == {"id"} else "row"])
    for segment in history:
        words = DRAWN[segment.sampling.kind].format(
            examples=segment.sampling.examples,
            batch_size=segment.sampling.batch_size,
            passes=segment.sampling.exposures(segment.steps),
            steps=segment.steps,
        )
        lines.append(f"{segment.steps} steps with noise multiplier {segment.noise_multiplier:.6g}: {words}.")
    unseen = [segment.sampling.copies for segment in history if segment.sampling.repeats_unseen]
    if unseen:
        lines.insert(0, UNSEEN.format(copies=max(unseen)))
    if model.noise_multiplier == 0:
        lines.insert(0, "There is no privacy: the noise multiplier is 0.")
    if model.seed is not None:
        lines.append(
            "The noise came from a seed: there is no privacy from whoever knows it. Leave the seed out."
        )
    text = "\n\n".join(textwrap.fill(line, 100) for line in lines)
    theirs = tensorflow_privacy_statement(history, delta)
    return f"{text}\n\nIn the words of tensorflow-privacy:\n\n{theirs}" if theirs else text


def tensorflow_privacy_statement(history, delta):
    """tensorflow-privacy's own statement on one segment of known sampling; None for others or where it is missing.

    Its number is that for Poisson sampling only where the batches were so drawn.
    """
    library = tensorflow_privacy("privacy.analysis.compute_dp_sgd_privacy_lib")
    if library is None or len(history) != 1 or history[0].sampling.kind != "poisson":
        return None
    (segment,) = history
    if not segment.noise_multiplier:
        return None
    drawn = segment.sampling
    return library.compute_dp_sgd_privacy_statement(
        number_of_examples=drawn.examples,
        batch_size=drawn.batch_size,
        # It rounds up to whole steps, which a last bit would make one more.
        num_epochs=segment.steps * drawn.batch_size / drawn.examples * (1 - 1e-9),
        noise_multiplier=segment.noise_multiplier,
        delta=delta,
        used_microbatching=False,
    )

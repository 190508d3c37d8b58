"""The attacker of a protection: shadow models trained with the defence that is attacked, kept as they are trained."""

import numpy as np

import mpreg
from mpreg.attacks import draw_membership
from mpreg.catalogue import defence_of
from mpreg.data import join_groups, pool
from mpreg.recipes.studies.shadows import KeptShadows

MIN_SHADOWS, MAX_SHADOWS = 4, 16
FIRST_SEED = 9_000  # of shadow models, far from the target's own


def attacked(job, model, defence, strength, count, *, validation, told=lambda words: None):
    """The report of a classifier by all attacks, those with shadow models among them.

    Args:
        job: the `Job`.
        model: the classifier.
        defence, strength: that it was trained with, and the shadow models are.
        count: number of shadow models; 0 leaves their attacks out.
        validation: whether the classifier was trained and is judged on `job.validation`, in place of `job.split`.
        told: function that is told, in a few words, what is done.
    """
    split = job.validation if validation else job.split
    consumes = defence_of(defence).consumes_reference
    options = {"reference": consumes, "seed": job.seed}
    if not count:
        return mpreg.evaluate(model, split, **options)
    others, first = _others(job, split, consumes, validation)
    shadows = _train(job, defence, strength, split, others, count, validation and consumes, told)
    members, nonmembers = len(split.members[1]), len(split.nonmembers[1])
    rows = np.concatenate([np.arange(members), members + first + np.arange(nonmembers)])
    return mpreg.evaluate(model, split, attacks="strong", shadows=shadows.subset(rows), **options)


def _others(job, split, consumes, validation):
    """Records that are no members, which shadow models are trained on as well, and where the judged ones begin.

    What learns from no reference records is trained alike for the choice and for the report, so that one set of shadow
    models serves both: the figures of either are of its own records alone.
    """
    if consumes:
        return split.nonmembers, 0
    halves = job.validation.nonmembers, job.split.nonmembers
    joined = pool(*(x for x, _ in halves)), np.concatenate([y for _, y in halves])
    return joined, 0 if validation else len(halves[0][1])


def membership_of(records, size, count, *, seed):
    """Which records each shadow model is trained on, bool (count, records); of more models, the first are the same.

    Where few of the models, drawn among the most there may be, would leave a record in all or in none, as in a pool
    that is mostly members or mostly others, these few are drawn for themselves.
    """
    drawn = draw_membership(MAX_SHADOWS, records, size, seed=seed)
    turns = drawn[:MIN_SHADOWS].sum(axis=0)
    if turns.min() == 0 or turns.max() == MIN_SHADOWS:
        drawn[:MIN_SHADOWS] = draw_membership(MIN_SHADOWS, records, size, seed=seed)
    return drawn[:count]


def _train(job, defence, strength, split, others, count, is_choice, told):
    """`ShadowModels` of members and others; more of them later are these and more."""
    x, y = pool(split.members[0], others[0]), np.concatenate([split.members[1], others[1]])

    def train(x, y, seed):
        known = mpreg.MembershipSplit((x, y), split.reference, split.nonmembers, duplicates="allow")
        return job.train(defence, strength, known, seed=FIRST_SEED + seed)

    groups = join_groups(x)  # a model that leaves a record out leaves its copies out
    records = int(groups.max()) + 1
    size = max(1, round(len(split.members[1]) * records / len(y)))
    membership = membership_of(records, size, count, seed=job.seed)[:, groups]
    kept = KeptShadows(
        train,
        job.file(defence, strength, ".shadows.choice" if is_choice else ".shadows"),
        count=count,
        stamp=str(job.stamp(defence, strength)),
        others=split.reference[0],
        said=told,
    )
    return kept.train(x, y, membership=membership, seed=job.seed)

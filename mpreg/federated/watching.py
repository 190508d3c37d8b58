"""Passive attackers, which record what they see of a federation in each round."""

from mpreg._validate import check_count
from mpreg.federated.federation import Server
from mpreg.internals import Snapshots


class Watch(Server):
    """Records the weights of some rounds, those that one participant returns or those that all receive.

    An honest but curious server sees what each participant sends back, `participant=0`; a participant sees what the
    server gives to all, `participant=None`. What is kept is attacked as the snapshots of any training:
    `WhiteBoxAttack(snapshots=watch.snapshots)`, `TrajectoryAttack(watch.snapshots)`.

    Args:
        participant: number of the one watched, from 0; None keeps the server's weights after each round.
        rounds: numbers of rounds, from 1; None keeps all.
        updates: whether to keep for `AlignmentAttack` what every participant changed in these rounds too.

    Attributes:
        snapshots: `mpreg.internals.Snapshots`, by the number of the round.
        rounds_kept: a `Round` for each, where `updates` are kept.
    """

    def __init__(self, *, participant=None, rounds=None, updates=False):
        self.participant = None if participant is None else check_count("participant", participant, 0)
        self.rounds = None if rounds is None else {check_count("rounds", int(n), 1) for n in rounds}
        self.updates, self.snapshots, self.rounds_kept = updates, Snapshots(), []

    def after(self, done, model):
        if self.rounds is not None and done.number not in self.rounds:
            return
        own = done.end if self.participant is None else done.returned[self.participant]
        self.snapshots.keep(done.number, own)
        if self.updates:
            self.rounds_kept.append(done)

"""What happens to the replicas of a wave between two epochs: the callbacks that their models add to `fit`."""

import numpy as np

from mpreg.data import take


class Controls:
    """Runs each replica's own callbacks, in one model that takes the state of one replica after the other.

    Args:
        job: the `Job`.
        step: the `Step` whose model takes their states.
        replicas: which.
    """

    def __init__(self, job, step, replicas):
        self._step = step
        self._each = [
            step.controls(*take((job.x, job.y), job.rows[replica]), job.schedule.batch)
            for replica in replicas
        ]
        controls = [control for own in self._each for control in own]
        for control in controls:
            control.set_model(step.model)
        self._all_tell = all(hasattr(control, "restarted") for control in controls)

    def __bool__(self):
        return any(self._each)

    def run(self, state, *events):
        """Runs events on each replica.

        Args:
            state: what the replicas have learned, as `Program` has it, in arrays; changed in place.
            events: each the name of a method of callbacks and its arguments.
        """
        places, moments = self._places(state)
        if not self._all_tell:
            places, moments = places + moments, []
        for at, controls in enumerate(self._each):
            for variable, values in places:
                variable.assign(values[at])
            for control in controls:
                control.restarted = False
            for name, *arguments in events:
                for control in controls:
                    getattr(control, name)(*arguments, None)  # no logs
            restarted = any(control.restarted for control in controls)
            for variable, values in places + moments if restarted else places:
                values[at] = np.asarray(variable)

    def _places(self, state):
        """The variables that may be read or changed, each with the array of its values; the optimizer's moments apart.

        Moments are twice as large as all weights, and of no interest to callbacks that have an attribute `restarted`:
        they never read them, and say by it whether they have given the optimizer fresh ones.
        """
        step = self._step
        optimizer = step.model.optimizer.variables if step.steers_target else []
        steered = {*map(id, step.steered), *map(id, optimizer)}
        if step.steers_target:
            steered |= {*map(id, step.target.variables)}
        large = {id(variable) for variable in optimizer if len(variable.shape)}
        kinds = zip((step.trainable, step.others, step.model.optimizer.variables), state, strict=True)
        pairs = [pair for kind, arrays in kinds for pair in zip(kind, arrays, strict=True)]
        pairs = [(variable, values) for variable, values in pairs if id(variable) in steered]
        moments = [pair for pair in pairs if id(pair[0]) in large]
        return [pair for pair in pairs if id(pair[0]) not in large], moments

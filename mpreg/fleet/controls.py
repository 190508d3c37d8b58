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
        for control in (control for own in self._each for control in own):
            control.set_model(step.model)

    def __bool__(self):
        return any(self._each)

    def run(self, state, *events):
        """Runs events on each replica.

        Args:
            state: what the replicas have learned, as `Program` has it, in arrays; changed in place.
            events: each the name of a method of callbacks and its arguments.
        """
        places = self._places(state)
        for at, controls in enumerate(self._each):
            for variable, values in places:
                variable.assign(values[at])
            for name, *arguments in events:
                for control in controls:
                    getattr(control, name)(*arguments, None)  # no logs
            for variable, values in places:
                values[at] = np.asarray(variable)

    def _places(self, state):
        """The variables that may be read or changed, each with the array of its values."""
        step = self._step
        steered = {*map(id, step.steered)}
        if step.steers_target:
            steered |= {*map(id, (*step.target.variables, *step.model.optimizer.variables))}
        kinds = zip((step.trainable, step.others, step.model.optimizer.variables), state, strict=True)
        pairs = [pair for kind, arrays in kinds for pair in zip(kind, arrays, strict=True)]
        return [(variable, values) for variable, values in pairs if id(variable) in steered]

"""The options of the min-max game, with their defaults and checks."""

import dataclasses
from typing import Any

from mpreg._validate import check_count, check_number

DEFAULT_STRENGTH = 1.7


@dataclasses.dataclass(frozen=True, kw_only=True)
class GameOptions:
    """Holds the options of the min-max game; `AdversarialRegularization` documents each.

    The wrapper and the callback name the options in their signatures, for those who read these, and take the defaults
    from here: `strength=GameOptions.strength`. Where neither a strength nor a penalty is given, the strength is 1.7.

    Raises:
        ValueError: a number out of its range, which it quotes; a strength beside a penalty.
    """

    strength: float | None = None
    penalty: float | None = None
    reference_gain: bool = True
    averaging: float = 0.95
    inference_network: object = "compact"
    attack_steps: int = 1
    attack_optimizer: object = "adam"
    warmup_epochs: int = 0
    reference_batch_size: int = 32
    seed: int = 0

    def __post_init__(self):
        checked = {
            "averaging": check_number("averaging", self.averaging, least=0, below=1),
            "attack_steps": check_count("attack_steps", self.attack_steps, 1),
            "warmup_epochs": check_count("warmup_epochs", self.warmup_epochs, 0),
            "reference_batch_size": check_count("reference_batch_size", self.reference_batch_size, 1),
            "seed": check_count("seed", self.seed, 0),
            **self._checked_weight(),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def _checked_weight(self):
        if self.penalty is None:
            return {"strength": check_strength(DEFAULT_STRENGTH if self.strength is None else self.strength)}
        penalty = check_penalty(self.penalty)
        if self.strength is not None:
            raise ValueError(
                "give strength, which weighs the gain by how hard the loss pulls, or penalty, the fixed weight of "
                f"the paper, and not both. Received: strength={self.strength!r}, penalty={self.penalty!r}"
            )
        return {"penalty": penalty}

    @property
    def relative(self) -> Any:
        """Whether the gain is weighed relative to the gradient of the loss."""
        return self.penalty is None

    @classmethod
    def taken_from(cls, config: Any):
        """Removes the options from a dict and returns them as `GameOptions`."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: config.pop(name) for name in names if name in config})


def check_penalty(penalty):
    """Checks the penalty and returns it as a float.

    Raises:
        ValueError: it is no number of at least 0.
    """
    return check_number("penalty", penalty, least=0)


def check_strength(strength):
    """Checks the strength and returns it as a float.

    Raises:
        ValueError: it is no number of at least 0.
    """
    return check_number("strength", strength, least=0)

"""Per-example signals: functions of a classifier's predictions that indicate membership, in NumPy.

Defences and attacks meet here. Every signal is oriented so that a higher value means a more likely member.
"""

from mpreg.classifiers.kind import are_logits as are_logits
from mpreg.classifiers.kind import look_like_logits as look_like_logits
from mpreg.signals.answers import Answers as Answers
from mpreg.signals.answers import per_record as per_record
from mpreg.signals.confidences import confidence as confidence
from mpreg.signals.confidences import correctness as correctness
from mpreg.signals.confidences import entropy as entropy
from mpreg.signals.confidences import logit_confidence as logit_confidence
from mpreg.signals.confidences import loss as loss
from mpreg.signals.confidences import modified_entropy as modified_entropy
from mpreg.signals.confidences import softened_loss as softened_loss
from mpreg.signals.predict import predict as predict
from mpreg.signals.reading import read_answers as read_answers
from mpreg.signals.reading import read_both as read_both

"""Audits of models and files of others, and the gate on what they find."""

from mpreg.audit.run import Audit as Audit
from mpreg.audit.run import audit_model as audit_model
from mpreg.audit.run import audit_predictions as audit_predictions

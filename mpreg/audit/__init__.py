"""Audits of saved models and prediction files, and limits on the results."""

from mpreg.audit.run import Audit as Audit
from mpreg.audit.run import audit_model as audit_model
from mpreg.audit.run import audit_predictions as audit_predictions

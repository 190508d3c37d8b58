"""From a classifier to a defended one: measured, a defence chosen, trained, attacked, and told of."""

from mpreg.protection.goal import Goal as Goal
from mpreg.protection.protect import Protected as Protected
from mpreg.protection.protect import protect as protect

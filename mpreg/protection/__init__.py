"""`mpreg.protect` and `mpreg protect`: find and train the cheapest defence that meets a goal."""

from mpreg.protection.goal import Goal as Goal
from mpreg.protection.protect import Protected as Protected
from mpreg.protection.protect import protect as protect

"""Checks that a defence or an attack of your own keeps the interface's contract."""

from mpreg.testing.attacks import check_attack as check_attack
from mpreg.testing.defences import check_defence as check_defence

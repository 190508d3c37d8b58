"""Whether a defence or an attack of your own keeps what others rely on, in one call each."""

from mpreg.testing.attacks import check_attack as check_attack
from mpreg.testing.defences import check_defence as check_defence

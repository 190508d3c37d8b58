"""Records, their labels, who is a member, and altered or random records."""

from mpreg.data.augmentations import BitFlips as BitFlips
from mpreg.data.augmentations import GaussianNoise as GaussianNoise
from mpreg.data.augmentations import ShiftsAndFlips as ShiftsAndFlips
from mpreg.data.canaries import Canaries as Canaries
from mpreg.data.canaries import plant_canaries as plant_canaries
from mpreg.data.copies import Erased as Erased
from mpreg.data.groups import distinct_rows as distinct_rows
from mpreg.data.groups import group_records as group_records
from mpreg.data.groups import join_groups as join_groups
from mpreg.data.labels import check_labels as check_labels
from mpreg.data.labels import count_labels as count_labels
from mpreg.data.labels import label_indices as label_indices
from mpreg.data.randomize import Randomize as Randomize
from mpreg.data.records import as_arrays as as_arrays
from mpreg.data.records import check_pair as check_pair
from mpreg.data.records import evenly_spaced as evenly_spaced
from mpreg.data.records import flatten as flatten
from mpreg.data.records import is_batched as is_batched
from mpreg.data.records import map_arrays as map_arrays
from mpreg.data.records import refuse_sparse as refuse_sparse
from mpreg.data.records import take as take
from mpreg.data.split import MembershipSplit as MembershipSplit
from mpreg.data.split import check_distinct as check_distinct
from mpreg.data.text import is_text as is_text
from mpreg.data.text import text_as_tensor as text_as_tensor

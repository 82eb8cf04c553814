"""Every value of every documented message of the described venues, replaced by another: it means something, or is Malformed.

`./run faults tests/faults/fault_mutated.py` tries 100,000.
"""

from support.mutating import check_meaning, mutated


def test_a_mutated_message_means_something_or_is_malformed():
    assert sum(check_meaning(venue, message) for venue, message in mutated(5000, seed=1)) > 4000

"""100,000 messages of the described venues with a value replaced, of another seed each day: nothing but Malformed is raised."""

from datetime import UTC, datetime

from support.mutating import check_meaning, mutated


def fault_100_000_mutated_messages():
    seed = datetime.now(UTC).date().toordinal()
    meant = sum(check_meaning(venue, message) for venue, message in mutated(100_000, seed))
    assert meant > 80_000, f"seed {seed}"

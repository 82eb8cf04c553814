"""For all tests: what hypothesis tries is the same in every run, so that no change is refused by chance.

`./run test --hypothesis-profile=explore PATH` tries other examples each time.
"""

from hypothesis import settings

settings.register_profile("steady", derandomize=True, database=None)
settings.register_profile("explore")
settings.load_profile("steady")

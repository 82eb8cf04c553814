"""Everything between a venue's socket and the pipeline: sockets, sign-in, retry, silence."""

from tocsin.feed.context import Retry
from tocsin.feed.credentials import CredentialStore
from tocsin.feed.model import Log, Received, Sink, Timings, VenueFeed
from tocsin.feed.supervisor import run_venue

__all__ = ["CredentialStore", "Log", "Received", "Retry", "Sink", "Timings", "VenueFeed", "run_venue"]

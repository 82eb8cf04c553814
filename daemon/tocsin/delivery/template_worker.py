"""The process that renders users' templates: `python -m tocsin.delivery.template_worker`, spoken to over its pipes.

A template is somebody's program. It ends by itself (see `sandbox`), but may take its time until then, and who waits here
isn't the loop that everything else runs in. One request at a time: a length, then a pickled call; the answer is a length,
then the `Message` it returns as JSON. What comes back is read as data only.
"""

import pickle
import signal
import struct
import sys

import msgspec

LENGTH = struct.Struct(">I")
_LONGEST_CALL = 15.0  # seconds; the end of a worker whose daemon is gone


def main() -> None:
    """Until the pipe ends."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(LENGTH.pack(0))  # ready
    answers.flush()
    while len(head := requests.read(LENGTH.size)) == LENGTH.size:
        signal.setitimer(signal.ITIMER_REAL, _LONGEST_CALL)
        call = pickle.loads(requests.read(LENGTH.unpack(head)[0]))  # noqa: S301 - from the process that started this one
        answer = msgspec.json.encode(call())
        signal.setitimer(signal.ITIMER_REAL, 0)
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


if __name__ == "__main__":
    import tocsin.delivery.render  # noqa: F401 - what calls need, before it says that it is ready

    main()

"""Whether something takes no longer than its length, told by a ratio within one run: machines are slow and busy."""

import time
from collections.abc import Callable


def assert_linear(work: Callable[[int], object], size: int) -> None:
    """Four times as much may take ten times as long; a square would take sixteen."""

    def seconds(size: int) -> float:
        best = float("inf")
        for _ in range(3):
            begun = time.process_time()
            work(size)
            best = min(best, time.process_time() - begun)
        return best

    # A hundredth of a second is noise.
    assert seconds(size) < 10 * max(seconds(size // 4), 0.01)

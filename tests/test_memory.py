"""What a worker keeps while it runs: long runs leave no garbage behind that nobody takes away."""

from __future__ import annotations

import pytest
from shares import Shares, in_large_stack

from runtime.model import read_model

WALKERS = {
    "model.toml": 'name = "walkers"\n[agents.walker]\ncount = 20000\nplace = "random"\n'
    'publish = ["turns"]\n[environment]\n'
    'space = { kind = "grid", width = 200, height = 200 }\n',
    "agents/walker.lua": "function init(self) self.turns = 0 end\n"
    "function step(self)\n  self.turns = self.turns + 1\n"
    "  move_by(random(3) - 2, random(3) - 2)\nend\n",
}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_long_run_of_moves_leaves_no_garbage_behind(workers: int) -> None:
    model, found = read_model("walkers", WALKERS)
    assert model is not None, found

    def used(shares: Shares) -> int:
        kernels = [host._kernel for host in shares._hosts]
        return max(kernel._lua.get_memory_used() for kernel in kernels if kernel is not None)

    def run() -> tuple[int, int]:
        shares = Shares(model, [20000], workers)
        early = max(used(shares.run(tick)) for tick in range(10, 31, 5))
        late = max(used(shares.run(tick)) for tick in range(100, 121, 5))
        assert shares.fault is None
        return early, late

    early, late = in_large_stack(run)
    # The least that a tick's lists take is 20 000 x 3 numbers; never collected they would be 40 MB.
    assert late < 2 * early + (35 << 20)

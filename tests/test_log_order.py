"""Log lines: in the order in which agents acted where they act one by one, and up to a fault."""

from __future__ import annotations

import pytest
from shares import Shares
from worlds import same_for
from written import written

from runtime.core.loglines import KEPT, LogLines
from runtime.protocol import Fault

CHAT = """
function on.say(self, msg, from)
  log("heard", from)
  if msg.n > 0 then send(from, "say", {n = msg.n - 1}) end
end
function step(self)
  log("acts")
  send(self.id % 2 + 1, "say", {n = 1})
  if self.id == 2 then send("environment", "say") end
end
"""
KEEPER = "function on.say(env, msg, from) log('keeps', from) end"


def test_4_12_lines_of_a_sequential_tick_stay_in_the_order_in_which_they_were_written() -> None:
    toml = 'activation = "ordered"\n[environment]\n[agents.a]\ncount = 2\n'
    spec = written(toml, a=CHAT, environment=KEEPER)

    def told(vm: str) -> list[tuple[int, str]]:
        log = LogLines(sequential=True)
        log.extend([tuple(line) for line in Shares(spec, [2], vm=vm).run(1).logs])
        return [(line[2], line[4]) for line in log.newest(99, "")[0]]

    assert same_for(("luajit21", "lua52"), told) == [
        (1, "acts"), (2, "heard\t1"), (1, "heard\t2"),
        (2, "acts"), (1, "heard\t2"), (0, "keeps\t2"), (2, "heard\t1"),
    ]  # fmt: skip


def test_an_agents_limit_of_lines_holds_when_agents_alternate() -> None:
    toml = 'activation = "ordered"\n[agents.a]\ncount = 2\n'
    chat = CHAT.replace('send("environment", "say")', "return").replace("{n = 1}", "{n = 500}")
    spec = written(toml, a=chat)
    fault = same_for(("luajit21", "lua52"), lambda vm: Shares(spec, [2], vm=vm).run(1).fault)
    assert (fault.kind, fault.tick, fault.line) == ("limit", 1, 3)
    assert fault.message == "an agent may log at most 100 lines in one tick"


LINES = [(3, 0, 0, 1, "e"), (3, 1, 4, 1, "b"), (3, 1, 2, 1, "a"), (3, 2, 9, 1, "c")]


@pytest.mark.parametrize(
    ("order", "sequential", "kept"),
    [
        ((2, 0, 0, 0, 0), False, "eabc"),
        ((1, 0, 0, 0, 0), False, "e"),
        ((1, 0, 1, 2, 0), False, "ea"),
        ((1, 0, 1, 2, 0), True, "ebac"),
    ],
)
def test_a_fault_keeps_what_was_logged_before_it(
    order: tuple[int, ...], sequential: bool, kept: str
) -> None:
    """The environment acts at the close, when all turns are over."""
    log = LogLines(sequential=sequential)
    log.extend(LINES)
    log.end_at(Fault(kind="script", message="", tick=3, order=order))
    assert "".join(line[4] for line in log.newest(KEPT, "")[0]) == kept

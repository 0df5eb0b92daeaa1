"""The core and real hosts in one process: everything between a command and its reply but sockets
and processes. A run must show the same on any number of workers.
"""

from __future__ import annotations

from collections import deque

import pytest
from shares import in_large_stack

from runtime.commands import CreateSimulation, QueryAgents, QueryLog, QueryMetrics, RunSimulation
from runtime.core.effects import NeedWorkers, RefuseAnswer, ReplyTo, SendOrder
from runtime.core.job import Settings
from runtime.core.simulation import Simulation
from runtime.model import apply_parameters, read_model
from runtime.protocol import Counts
from workers.host import Host

TOML = """
name = "town"
[parameters]
people = { default = 40, min = 1 }
[agents.person]
count = "people"
state = { cash = "10" }
[agents.clerk]
count = 1
name = "clerk"
[metrics]
people_now = "count(person)"
cash = "sum(person, self.cash) + mail('coin', msg.amount)"
spread = { value = "gini(person, self.cash)", every = 3 }
[stop]
when = "people_now < 12"
"""

PERSON = """
function step(self)
  if self.cash > 0 then
    send(choice(agents("person")), "coin", {amount = 1})
    self.cash = self.cash - 1
  end
  if random() < 0.05 then
    send("clerk", "gone", {cash = self.cash})
    remove()
  elseif random() < 0.02 then
    spawn("person", {cash = 3})
    log("a child of", self.id)
  end
end

function on.coin(self, msg) self.cash = self.cash + msg.amount end
"""

CLERK = """
function init(self) self.seen = 0 self.cash = 0 end
function on.gone(self, msg, from)
  self.seen = self.seen + 1
  self.cash = self.cash + msg.cash
  log("saw", from, "go")
end
"""

FILES = {"model.toml": TOML, "agents/person.lua": PERSON, "agents/clerk.lua": CLERK}


FAULTY_TOML = """
name = "town"
[agents.a]
count = 30
[agents.b]
count = 30
"""

FAULTY = """
function step(self)
  log("turn", tick())
  send(choice(agents("b")), "ping")
  if tick() == 9 and (self.id == 17 or self.id == 52) then error("enough") end
end

function on.ping(self) end
"""

FAULTY_FILES = {
    "model.toml": FAULTY_TOML, "agents/a.lua": FAULTY, "agents/b.lua": FAULTY,
}  # fmt: skip


class Town:
    """One simulation with its workers, all here."""

    def __init__(self, workers: int, vm: str, files: dict[str, str] = FILES) -> None:
        model, found = read_model("town", files)
        assert model is not None, found
        parameters, _ = apply_parameters(model, {})
        command = CreateSimulation(
            name="town", files=files, parameters=parameters, workers=workers, vm=vm, seed=11
        )
        self._hosts: list[Host] = []
        self._replies = {}
        self.simulation = Simulation("town-1", model, found, command, 0, 3, Settings(), 0.0)
        self._play(self.simulation.start())

    def _play(self, effects) -> None:
        """Carry out effects and what follows from them, until nothing is left to do."""
        todo = deque(effects)
        while todo:
            effect = todo.popleft()
            match effect:
                case NeedWorkers(count):
                    while len(self._hosts) < count:
                        host = Host()
                        host.worker, host.epoch = len(self._hosts), 3
                        self._hosts.append(host)
                    todo += self.simulation.workers_ready(range(count), 0.0)
                case SendOrder(worker, order, blobs):
                    answer, sent = self._hosts[worker].handle(order, list(blobs))
                    todo += self.simulation.handle(worker, answer, sent, 0.0)
                case ReplyTo(ticket, reply):
                    self._replies[ticket] = reply
                case RefuseAnswer(worker, reason):
                    raise AssertionError(f"worker {worker}: {reason}")

    def run(self, ticks, until=""):
        command = RunSimulation(sim="town-1", ticks=ticks, until=until)
        self._play(self.simulation.run(1, command, 0.0))
        info = self._replies[1].simulation
        return (
            info.phase, info.tick, info.stopped, info.stopped_by, info.agents, info.messages,
            info.metrics, info.digest, info.error,
        )  # fmt: skip

    def ask(self, **query):
        command = QueryAgents(sim="town-1", **query)
        self._play(self.simulation.query(2, command, 0.0))
        return self._replies[2]

    def story(self):
        """Everything that a client can see of a life in three runs."""
        return [
            self.run(7),
            self.ask(agent_type="person", where="self.cash > 5", fields=["self.cash"], limit=5),
            self.run(20, until="cash < 150 or tick >= 19"),
            self.ask(agent_type="person", group="self.cash > 3", aggregates=["mean(self.cash)"]),
            self.run(500),
            self.ask(agent_type="clerk", fields=["self.seen", "self.cash"]),
            self.simulation.metrics(QueryMetrics(sim="town-1", points=0)),
            self.simulation.log(QueryLog(sim="town-1", limit=1000)),
        ]


@pytest.mark.parametrize("vm", ["luajit21", "lua52"])
@pytest.mark.parametrize("workers", [2, 3, 5])
def test_a_life_is_the_same_on_any_number_of_workers(workers, vm):
    one = in_large_stack(lambda: Town(1, "luajit21").story())
    assert one[4][:4] == ("ended", one[4][1], "stop", "people_now < 12")
    assert in_large_stack(lambda: Town(workers, vm).story()) == one


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_what_is_seen_after_a_fault_is_the_same_on_any_number_of_workers(workers):
    def after_fault():
        town = Town(workers, "luajit21", FAULTY_FILES)
        seen = town.run(20)
        log = town.simulation.log(QueryLog(sim="town-1", limit=1000))
        return (*seen[:6], seen[8].agent, len(log.rows), log.total, log.rows[-1])

    assert in_large_stack(after_fault) == (
        "failed", 8, "error", "", {"a": 30, "b": 30}, Counts(480, 420, 0),
        17, 8 * 60 + 17, 8 * 60 + 17, [9, "a", 17, "turn\t9"],
    )  # fmt: skip

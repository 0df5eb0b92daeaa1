"""The environment: read by agents, changed only when a tick closes (design 4.1–4.5, 4.9, 4.10)."""

from __future__ import annotations

from typing import Any

import pytest
from shares import Shares
from test_random import draws
from worlds import Outcome, clean, everywhere, outcome, same_for
from written import written

HEAD = "[environment]\n[agents.a]\ncount = 4\n"
NOTE = """
function on.note(self, msg, from)
  local sent, kind, seq = message()
  log("note", tick(), from, sent, msg.t)
end
"""


def run(toml: str, ticks: int, counts: list[int] | None = None, **scripts: str) -> Outcome:
    """The outcome everywhere, which must be clean."""
    return clean(everywhere(written(toml, **scripts), counts or [4], ticks))


def test_4_01_the_environments_init_is_the_first_of_tick_0_and_its_step_runs_from_tick_1() -> None:
    environment = """
        function init(env) env.price, env.born = 7, {} log("init", tick(), #agents("a")) end
        function step(env) env.price = env.price + 1 log("step", tick()) end
    """
    agent = """
        function init(self) self.seen = env.price log("init", env.price) end
        function step(self) self.seen = env.price end
    """
    found = run(HEAD, 2, a=agent, environment=environment)
    assert found.lines() == [
        (0, 0, "init\t0\t4"), *((0, id_, "init\t7") for id_ in (1, 2, 3, 4)),
        (1, 0, "step\t1"), (2, 0, "step\t2"),
    ]  # fmt: skip
    assert found.field("seen") == [8, 8, 8, 8]


def test_4_01_what_the_environments_init_sends_is_due_in_tick_1_and_counted_once_each() -> None:
    environment = """
        function init(env)
          send(3, "note", {t = "one"})
          broadcast("a", "note", {t = "all"})
          send(2, "note", {t = "late"}, 2)
          after(1, "own", {t = "own"})
        end
        function on.own(env, msg, from) log("own", tick(), from, msg.t) end
    """
    found = run(HEAD, 2, a=NOTE, environment=environment)
    assert found.lines() == [
        (1, 0, "own\t1\t0\town"),
        (1, 1, "note\t1\t0\t0\tall"),
        (1, 2, "note\t1\t0\t0\tall"),
        (1, 3, "note\t1\t0\t0\tone"),
        (1, 3, "note\t1\t0\t0\tall"),
        (1, 4, "note\t1\t0\t0\tall"),
        (2, 2, "note\t2\t0\t0\tlate"),
    ]
    assert found.counts == (7, 7, 0)


def test_4_02_agents_see_the_environment_as_it_stood_when_the_last_tick_closed() -> None:
    environment = """
        function init(env) env.sum, env.list = 0, {} end
        function on.add(env, msg, from)
          env.sum = env.sum + msg.n
          env.list[#env.list + 1] = from
        end
        function query.twice(env) return env.sum * 2 end
    """
    agent = """
        function step(self)
          send("environment", "add", {n = 10})
          self.seen = (self.seen or "") .. env.sum .. "/" .. #env.list .. "/" .. env.twice() .. " "
        end
    """
    found = run(HEAD, 3, a=agent, environment=environment)
    assert set(found.field("seen")) == {"0/0/0 40/4/80 80/8/160 "}


def test_4_05_the_environment_handles_the_mail_of_a_tick_in_agent_order_and_then_steps() -> None:
    environment = """
        function on.x(env, msg, from) log("x", from, msg.n) end
        function on.y(env, msg, from) log("y", from, msg.n) send(from, "note", {t = msg.n}) end
        function step(env) log("step") broadcast("b", "note", {t = "step"}) end
    """
    agent = (
        NOTE
        + """
        function step(self)
          if tick() == 1 then
            send(0, "y", {n = 1}) send("environment", "x", {n = 2}) send(0, "y", {n = 3})
          end
        end
    """
    )
    toml = "[environment]\n[agents.b]\ncount = 2\n[agents.a]\ncount = 1\n"
    found = run(toml, 2, [2, 1], a=agent, b=agent, environment=environment)
    heard = [
        *((1, 0, f"{kind}\t{id_}\t{n}") for id_ in (1, 2, 3) for kind, n in ("y1", "x2", "y3")),
        (1, 0, "step"),
        (2, 0, "step"),
        *((2, id_, f"note\t2\t0\t1\t{n}") for id_ in (1, 2) for n in ("1", "3", "step")),
        *((2, 3, f"note\t2\t0\t1\t{n}") for n in ("1", "3")),
    ]
    assert found.lines() == heard
    # nine to the environment, six answers, a broadcast in each of the two ticks
    assert found.counts == (9 + 6 + 4, 9 + 6 + 2, 0)


def test_4_03_mail_to_the_environment_waits_for_the_close_of_the_tick_that_its_delay_names() -> (
    None
):
    environment = """
        function on.note(env, msg, from) log("note", tick(), from, msg.t) end
        function step(env) if tick() == 1 then after(2, "note", {t = "own"}) end end
    """
    agent = """
        function step(self)
          if tick() == 1 and self.id % 2 == 0 then
            for d = 1, 3 do send("environment", "note", {t = "after " .. d}, d) end
          elseif tick() == 3 and self.id == 1 then
            send("environment", "note", {t = "now"})
          end
        end
    """
    found = run(HEAD, 5, a=agent, environment=environment)
    # sent in tick 1 before those of tick 3, and of one tick the environment's own first
    assert found.lines() == [
        (1, 0, "note\t1\t2\tafter 1"), (1, 0, "note\t1\t4\tafter 1"),
        (2, 0, "note\t2\t2\tafter 2"), (2, 0, "note\t2\t4\tafter 2"),
        (3, 0, "note\t3\t0\town"),
        (3, 0, "note\t3\t2\tafter 3"), (3, 0, "note\t3\t4\tafter 3"),
        (3, 0, "note\t3\t1\tnow"),
    ]  # fmt: skip
    assert found.counts == (8, 8, 0)


def test_4_03_a_mailbox_has_the_environments_mail_before_that_of_agents_of_the_same_tick() -> None:
    environment = """
        function step(env)
          if tick() <= 2 then
            for id = 1, 4 do
              send(id, "note", {t = "env"}) send(id, "note", {t = "env late"}, 3 - tick())
            end
          end
        end
    """
    agent = (
        NOTE
        + """
        function step(self)
          if tick() <= 2 and self.id ~= 2 then
            send(2, "note", {t = "mine"}) send(2, "note", {t = "mine late"}, 3 - tick())
          end
        end
    """
    )
    found = run(HEAD, 3, a=agent, environment=environment)
    senders = (0, 1, 3, 4)
    words = {id_: "mine" if id_ else "env" for id_ in senders}
    assert [text for _, id_, text in found.lines() if id_ == 2] == [
        *(f"note\t2\t{id_}\t1\t{words[id_]}" for id_ in senders),
        *(f"note\t3\t{id_}\t1\t{words[id_]} late" for id_ in senders),
        *(f"note\t3\t{id_}\t2\t{words[id_]}{late}" for id_ in senders for late in ("", " late")),
    ]


def test_4_05_the_environment_hears_those_who_leave_and_its_answer_to_them_is_a_dead_letter() -> (
    None
):
    environment = """
        function on.bye(env, msg, from)
          log(from, tostring(alive(from)), #agents("a"))
          send(from, "note", {t = "farewell"})
        end
        function step(env) log("left", #agents("a"), tostring(alive(2))) end
    """
    agent = (
        NOTE
        + """
        function step(self)
          if tick() == 1 and self.id == 2 then remove() send("environment", "bye") end
        end
    """
    )
    found = run(HEAD, 2, a=agent, environment=environment)
    # removals come after the environment's turn
    assert found.lines() == [
        (1, 0, "2\ttrue\t4"), (1, 0, "left\t4\ttrue"), (2, 0, "left\t3\tfalse"),
    ]  # fmt: skip
    assert found.counts == (2, 1, 1)


def test_4_05_what_the_environment_spawns_is_born_at_the_next_close_before_others_children() -> (
    None
):
    environment = """
        function init(env) spawn("a", {by = "init"}) end
        function on.ask(env, msg, from) spawn("a", {by = from, deep = {from}}) end
    """
    agent = """
        function init(self)
          if self.by then log("born", tick(), self.by, tostring(self.parent)) end
        end
        function step(self)
          self.acts = (self.acts or 0) + 1
          if tick() == 1 and self.id == 3 then send("environment", "ask") end
          if tick() == 2 and self.id == 1 then spawn("a", {by = "one"}) end
        end
    """
    found = run(HEAD, 4, a=agent, environment=environment)
    assert found.lines() == [
        (0, 5, "born\t0\tinit\tnil"),
        (2, 6, "born\t2\t3\tnil"),
        (2, 7, "born\t2\tone\t1"),
    ]
    assert found.field("acts") == [4, 4, 4, 4, 4, 2, 2]


def test_4_05_a_newborns_init_may_send_to_the_environment_which_hears_it_at_the_next_close() -> (
    None
):
    environment = """
        function init(env) env.log = "" end
        function on.hello(env, msg, from)
          env.log = env.log .. tick() .. ":" .. from .. msg.t .. " "
        end
    """
    agent = """
        function init(self)
          if self.parent then
            send("environment", "hello", {t = "!"})
            send("environment", "hello", {t = "?"}, 2)
          end
        end
        function step(self)
          if tick() == 1 and self.id <= 2 then spawn("a") end
          if tick() == 2 and self.id == 1 then send("environment", "hello", {t = "."}) end
          if tick() == 4 then self.log = env.log end
        end
    """
    spec = written(HEAD, a=agent, environment=environment)

    def through(way: tuple[int, int, str]) -> Any:
        at, workers, vm = way
        world = Shares(spec, [4], 2).run(at)
        if workers:
            world = world.restored(workers, vm)
        found = clean(outcome(world.run(4)))
        return found.digest, found.field("log")

    ways = [(1, 0, ""), (1, 3, "luajit21"), (1, 1, "lua52"), (2, 1, "luajit21"), (2, 5, "lua52")]
    assert (
        same_for(ways, through)[1]
        == ["2:1. 2:5! 2:6! 3:5? 3:6? "] * 4 + ["2:1. 2:5! 2:6! 3:5? 3:6? "] * 2
    )


@pytest.mark.parametrize("seed", [0, 2**53 - 1])
def test_4_10_the_environment_is_id_0_and_continues_one_stream_through_a_tick(seed: int) -> None:
    environment = """
        function init(env) env.x = {random(), random()} end
        function on.draw(env) env.x[#env.x + 1] = random() end
        function step(env) env.x[#env.x + 1] = random() end
        function query.drawn(env) return random() end
    """
    agent = """
        function step(self)
          self.a, self.b, self.c = random(), env.drawn(), random()
          send("environment", "draw")
          if tick() == 2 then self.x = table.concat(env.x, " ") end
        end
    """
    spec = written(
        HEAD + "[metrics]\nlast = 'env.x[#env.x]'\nsum = 'env.x[1] + env.x[2]'\n",
        a=agent,
        environment=environment,
    )
    found = clean(everywhere(spec, [2], 2, seed=seed))
    for id_ in (1, 2):  # a query is part of the turn in which it is called
        state = found.state(id_)
        assert [state["a"], state["b"], state["c"]] == draws(seed, id_, 2, 3)
    of = {tick: draws(seed, 0, tick, 3) for tick in (0, 1, 2)}
    assert [row["last"] for _, row in found.rows] == [of[0][1], of[1][2], of[2][2]]
    assert [row["sum"] for _, row in found.rows] == [of[0][0] + of[0][1]] * 3
    text = " ".join(f"{x:.14g}" for x in (of[0][:2] + of[1]))
    assert found.field("x") == [text, text]


def test_4_09_what_the_environment_holds_and_awaits_is_in_the_digest_and_its_logs_are_not() -> None:
    environment = """
        function init(env) env.x = 1 end
        function on.late(env) end
        function step(env)
          if param.does == "state" then env.x = -tick() end
          if param.does == "mail" then after(2, "late") end
          if param.does == "spawn" then spawn("a") end
          if param.does == "nothing" then log("x") record("x", env.x) end
        end
    """
    choices = 'does = { default = "none", choices = ["none", "nothing", "state", "mail", "spawn"] }'
    toml = f"[parameters]\n{choices}\n{HEAD}"
    spec = written(toml, a="function step(self) end", environment=environment)

    def digest(does: str) -> str:
        return clean(everywhere(spec, [4], 1, parameters={"does": does})).digest

    assert digest("none") == digest("nothing")
    assert len({digest(does) for does in ("none", "state", "mail", "spawn")}) == 4


def test_4_07_expressions_read_the_environment_and_call_its_queries() -> None:
    environment = """
        function init(env) env.price, env.book = 10, {bids = {5, 7}} end
        function query.best(env, least) return math.max(least, env.book.bids[2]) end
        function step(env) env.price = env.price + tick() end
    """
    toml = (
        "[metrics]\nprice = 'env.price'\nbest = 'env.best(6) + #env.book.bids'\n"
        "rich = 'share(a, self.cash > env.price)'\ntold = \"mail('note', msg.n * env.price)\"\n"
        "[stop]\nwhen = 'env.price >= 13 and price == env.price'\n"
        "[invariants]\nkept = 'env.book.bids[1] == 5'\n"
    )
    toml += "[environment]\n[agents.a]\ncount = 4\nstate = { cash = 'env.price * i / 2' }\n"
    agent = "function on.note(self) end function step(self) send(1, 'note', {n = 1}) end"
    found = clean(everywhere(written(toml, a=agent, environment=environment), [4], 9))
    assert (found.tick, found.ended) == (2, "stop")
    assert found.rows == [
        (0, {"price": 10, "best": 9, "rich": 0.5, "told": 0}),
        (1, {"price": 11, "best": 9, "rich": 0.5, "told": 44}),
        (2, {"price": 13, "best": 9, "rich": 0.5, "told": 52}),
    ]
    assert found.field("cash") == [5, 10, 15, 20]


def test_4_07_mail_to_the_environment_that_waits_is_counted_with_that_of_agents() -> None:
    environment = """
        function on.pay(env, msg, from)
          env.cash = (env.cash or 0) + msg.n
          if from == 2 then after(2, "pay", {n = 5}) env.cash = env.cash - 5 end
          if tick() == 4 then send(1, "pay", {n = env.cash}, 2) env.cash = 0 end
        end
    """
    agent = """
        function init(self)
          self.cash = self.cash or 1000
          if self.parent then
            self.cash = 0
            send("environment", "pay", {n = self.gift}, 2) send(self.parent, "pay", {n = 50})
          end
        end
        function on.pay(self, msg) self.cash = self.cash + msg.n end
        function step(self)
          if tick() == 1 then send("environment", "pay", {n = 100}, self.id) self.cash = 900 end
          if tick() == 2 and self.id == 1 then
            spawn("a", {gift = 7}) self.cash = self.cash - 57
          end
        end
    """
    kept = "sum(a, self.cash) + (env.cash or 0) + mail('pay', msg.n) == 4000"
    toml = f'{HEAD}[invariants]\nkept = "{kept}"\n[metrics]\nn = "mail(\'pay\')"\n'
    found = run(toml, 8, a=agent, environment=environment)
    assert [row["n"] for _, row in found.rows] == [0, 3, 5, 3, 3, 3, 0, 0, 0]


def test_published_fields_are_those_at_the_end_of_the_turns_of_the_last_closed_tick() -> None:
    environment = """
        function step(env)
          log(tostring(look(1, "x")), tostring(look(2, "x")), tostring(look(5, "x")))
        end
    """
    agent = """
        function init(self) self.x = self.x or self.id * 100 end
        function step(self)
          self.saw = (self.saw or "") .. tostring(look(1, "x")) .. "," .. tostring(look(2, "x"))
            .. "," .. tostring(look(5, "x")) .. "," .. tostring(look(2, "secret")) .. " "
          self.x = self.x + 1
          if tick() == 1 and self.id == 3 then spawn("a", {x = "new"}) end
          if tick() == 2 and self.id == 2 then remove() end
          if self.id == 5 then self.x = nil end
        end
    """
    agent = agent.replace("self.x = self.x + 1", "if self.id < 5 then self.x = self.x + 1 end")
    toml = "[environment]\n[agents.a]\ncount = 4\npublish = ['x', 'secret']\n"
    found = run(toml, 4, a=agent, environment=environment)
    assert found.state(1)["saw"] == (
        "100,200,nil,nil 101,201,new,nil 102,nil,nil,nil 103,nil,nil,nil "
    )
    # the environment too reads them as of the last closed tick
    assert found.lines() == [
        (1, 0, "100\t200\tnil"), (2, 0, "101\t201\tnew"),
        (3, 0, "102\tnil\tnil"), (4, 0, "103\tnil\tnil"),
    ]  # fmt: skip

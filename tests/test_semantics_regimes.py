"""Activation regimes: one agent at a time, and what it does is seen at once (design 4.12)."""

from __future__ import annotations

from typing import Any

import pytest
from shares import Shares
from test_random import draws
from worlds import Outcome, clean, everywhere, same_for
from written import written

from runtime import protocol as p

ALONE = ((1, "luajit21"), (1, "lua52"))
"""Sequential regimes have one worker."""
REGIMES = ('"random"', '"ordered"', '"uniform"', '{ by_type = ["b", "a"] }')
NOTE = """
function on.note(self, msg, from) self.got = (self.got or "") .. tick() .. msg.t .. from .. " " end
"""


def head(regime: str, a: int = 4, b: int = 0, more: str = "") -> str:
    """model.toml for types a and b."""
    return (
        f"activation = {regime}\n[environment]\n"
        'space = { kind = "grid", width = 9, height = 9 }\nlayers = { heat = 0 }\n'
        f'[agents.a]\ncount = {a}\npublish = ["x"]\nplace = {{ x = "i - 1", y = 0 }}\n'
        f'[agents.b]\ncount = {b}\npublish = ["x"]\nplace = {{ x = "i - 1", y = 1 }}\n{more}'
    )


def run(spec: p.ModelSpec, counts: list[int], ticks: int, **options: Any) -> Outcome:
    """The outcome on both VMs, which must be clean."""
    return clean(everywhere(spec, counts, ticks, places=ALONE, **options))


def turns(regime: str, ticks: int, seed: int = 1) -> list[list[int]]:
    """Who had a turn, in order, for each tick: four of a (1 to 4) and three of b (5 to 7)."""
    source = """
        function step(self)
          local n = layer.heat(8, 8)
          layer.heat:set(n % 9, 2 + math.floor(n / 9), self.id)
          layer.heat:add(8, 8, 1)
        end
    """
    environment = """
        function step(env)
          local seen, n = {}, layer.heat(8, 8)
          for k = 0, n - 1 do seen[k + 1] = layer.heat(k % 9, 2 + math.floor(k / 9)) end
          log(table.concat(seen, " "))
          layer.heat:set(8, 8, 0)
        end
    """
    spec = written(head(regime, 4, 3), a=source, b=source, environment=environment)
    lines = run(spec, [4, 3], ticks, seed=seed).lines()
    return [[int(id_) for id_ in text.split()] for _, _, text in lines]


def test_4_12_ordered_is_agent_order_in_every_tick() -> None:
    assert turns('"ordered"', 3) == [[1, 2, 3, 4, 5, 6, 7]] * 3


def test_4_12_random_gives_each_one_turn_a_tick_in_an_order_of_its_tick_and_seed() -> None:
    orders = [*turns('"random"', 12), *turns('"random"', 12, seed=2)]
    assert all(sorted(order) == [1, 2, 3, 4, 5, 6, 7] for order in orders)
    assert len({tuple(order) for order in orders}) > 20
    firsts = [order[0] for seed in range(40) for order in turns('"random"', 5, seed)]
    assert all(10 <= firsts.count(id_) <= 60 for id_ in range(1, 8))


def test_4_12_uniform_draws_as_often_as_there_are_agents_and_the_same_one_perhaps_again() -> None:
    orders = turns('"uniform"', 60)
    assert all(len(order) == 7 for order in orders)
    assert all(set(order) <= set(range(1, 8)) for order in orders)
    assert any(len(set(order)) < 7 for order in orders)
    everyone = [id_ for order in orders for id_ in order]
    assert all(35 <= everyone.count(id_) <= 90 for id_ in range(1, 8))


def test_4_12_by_type_takes_the_types_in_the_order_named_and_within_one_a_seeded_order() -> None:
    orders = turns('{ by_type = ["b", "a"] }', 12)
    assert all(sorted(order[:3]) == [5, 6, 7] for order in orders)
    assert all(sorted(order[3:]) == [1, 2, 3, 4] for order in orders)
    assert len({tuple(order) for order in orders}) > 8


def test_4_12_a_parameter_may_choose_the_regime() -> None:
    choices = '"synchronous", "ordered"'
    toml = head('{ parameter = "how" }').replace(
        "[environment]",
        f'[parameters]\nhow = {{ default = "ordered", choices = [{choices}] }}\n[environment]',
    )
    source = "function step(self) self.seen = look(1, 'x') self.x = tick() end"
    spec = written(toml, a=source, b="")
    at_once = run(spec, [4, 0], 2).field("seen")
    assert at_once == [1, 2, 2, 2]
    together = clean(everywhere(spec, [4, 0], 2, parameters={"how": "synchronous"}))
    assert together.field("seen") == [1, 1, 1, 1]


def test_4_12_places_layers_published_fields_and_the_environment_are_seen_at_once() -> None:
    source = """
        function step(self)
          if tick() == 1 and self.id == 2 then
            self.went = {move_to(7, 7), move_by(1, 1), position()}
            layer.heat:add(3, 3, 5) layer.heat:set(4, 4, 6)
            self.x = "new"
            ask("environment", "set", {n = 1})
            send("environment", "set", {n = 2})
            self.during = env.n
          end
          local x, y = position(2)
          self.seen = {x, y, layer.heat(3, 3), layer.heat(4, 4), look(2, "x") or "none", env.n,
            #neighbors_of(8, 8, 0)}
        end
    """
    environment = """
        function init(env) env.n = 0 end
        function on.set(env, msg) env.n = env.n + msg.n return env.n end
    """
    found = run(written(head('"ordered"'), a=source, b="", environment=environment), [4, 0], 1)
    before, after = [1, 0, 0, 0, "none", 0, 0], [8, 8, 5, 6, "new", 3, 1]
    assert found.field("seen")[::2] == [before, after]
    assert found.field("seen")[1] == [8, 8, 5, 6, "none", 1, 1]
    assert (found.state(2)["went"], found.state(2)["during"]) == ([True, True, 8, 8], 1)


@pytest.mark.parametrize("regime", REGIMES)
def test_4_12_a_message_is_handled_when_its_senders_turn_ends_and_so_are_the_answers(
    regime: str,
) -> None:
    source = """
        function init(self) self.hits, self.acts = 0, 0 end
        function on.hit(self, msg, from)
          self.hits = self.hits + 1
          layer.heat:add(0, 0, 1)
          if msg.n > 1 then send(from, "hit", {n = msg.n - 1}) end
        end
        function step(self)
          if self.alone == nil then self.alone = true end
          -- whoever acts finds all the mail of earlier turns handled
          if layer.heat(0, 0) % 3 ~= 0 then self.alone = false end
          local hits = self.hits
          send(self.id % 5 + 1, "hit", {n = 3})
          if self.hits ~= hits then self.alone = false end
          self.acts = self.acts + 1
        end
    """
    found = run(written(head(regime, 3, 2), a=source, b=source), [3, 2], 8)
    assert found.field("alone").count(False) == 0
    assert sum(found.field("acts")) == 40
    assert sum(found.field("hits")) == 120
    assert found.counts == (120, 120, 0)


def test_4_12_delayed_mail_opens_the_tick_in_agent_order_before_any_turn() -> None:
    source = """
        local function note(self, text) log(text) end
        function on.note(self, msg, from)
          local sent, kind, seq = message()
          log("note", msg.t, from, sent, kind, seq)
          if msg.t == "late" then send(4, "note", {t = "after " .. self.id}) end
        end
        function step(self)
          log("step")
          if tick() == 1 and self.id == 1 then
            after(2, "note", {t = "own"}) send(3, "note", {t = "now"})
            send(2, "note", {t = "late"}, 2) broadcast("a", "note", {t = "all"}, 2)
          elseif tick() == 2 and self.id == 4 then
            send(2, "note", {t = "one"}, 2 - 1)
          end
        end
    """
    world = written(head('"random"', 4), a=source, b="")
    lines = run(world, [4, 0], 3).logs
    assert [(id_, text) for tick, _, id_, _, text in lines if tick == 1 and "note" in text] == [
        (3, "note\tnow\t1\t1\tnote\t2"),
    ]
    third = [(id_, text) for tick, _, id_, _, text in lines if tick == 3 and "note" in text]
    assert third == [
        (1, "note\town\t1\t1\tnote\t1"),
        (2, "note\tlate\t1\t1\tnote\t3"), (2, "note\tall\t1\t1\tnote\t4"),
        (2, "note\tone\t4\t2\tnote\t1"),
        (3, "note\tall\t1\t1\tnote\t4"),
        (4, "note\tafter 2\t2\t3\tnote\t1"), (4, "note\tall\t1\t1\tnote\t4"),
    ]  # fmt: skip


ASKED = """
function on.who(self, msg, from)
  self.asked = (self.asked or 0) + 1
  return {me = self.id, from = from, said = msg.said, all = {self.asked}}
end
function on.nothing(self) end
function on.fails(self, msg)
  return self.x.y
end
function on.next(self) local a = ask(self.id % 60 + 1, "next", {}) return a end
function on.back(self, msg, from) local a = ask(from, "who") return a end
function on.dies(self) remove() return "gone" end
function on.tells(self) return {print} end
"""


def asks(body: str, agents: int = 3, regime: str = '"ordered"') -> p.ModelSpec:
    """A model whose agent 1 does ``body``, line 15 of its file, in tick 1."""
    source = (
        f"{ASKED[1:]}function step(self)\n  if tick() == 1 and self.id == 1 then\n{body}\nend end"
    )
    return written(head(regime, agents, 0), a=source, b="")


def test_4_12_ask_returns_a_copy_of_what_the_others_handler_returns() -> None:
    body = """
      local said = {1}
      local answer = ask(2, "who", {said = said})
      answer.said[1] = "mine" answer.all[2] = "mine"
      self.answers = {answer, ask(2, "who"), said, select("#", ask(3, "nothing"))}
    """
    found = run(asks(body), [3, 0], 1)
    assert found.state(1)["answers"] == [
        {"me": 2, "from": 1, "said": ["mine"], "all": [1, "mine"]},
        {"me": 2, "from": 1, "all": [2]}, [1], 1,
    ]  # fmt: skip
    assert (found.state(2)["asked"], found.counts) == (2, (0, 0, 0))


def test_4_12_asking_the_environment_runs_its_handler_now() -> None:
    environment = """
        function init(env) env.n = {0} end
        function on.add(env, msg, from)
          env.n[1] = env.n[1] + msg.n
          send(from, "note", {t = env.n[1]}) spawn("b") log(from)
          return env.n
        end
    """
    agent = NOTE + """
        function step(self)
          if tick() == 1 then
            local answer = ask("environment", "add", {n = self.id})
            answer[1] = answer[1] + 1000
            self.had, self.now, self.bs = answer[1], env.n[1], #agents("b")
          end
        end
    """  # fmt: skip
    spec = written(head('"ordered"', 3), a=agent, b="", environment=environment)
    found = run(spec, [3, 0], 1)
    assert [found.state(i)["had"] for i in (1, 2, 3)] == [1001, 1003, 1006]
    assert [found.state(i)["now"] for i in (1, 2, 3)] == [1, 3, 6]
    # what it spawned is there when the turn ends, and its answer by mail comes then too
    assert [found.state(i)["bs"] for i in (1, 2, 3)] == [0, 1, 2]
    assert [found.state(i)["got"] for i in (1, 2, 3)] == ["110 ", "130 ", "160 "]


REFUSED = {
    'ask(1, "who")': "ask: agent 1 asks itself; call the function directly",
    'ask(2, "back")': "ask: agent 2 asks agent 1, which waits for an answer itself: a cycle; "
    "send a message instead",
    'ask(2, "next")': "ask: more than 50 agents wait for one another's answers; "
    "send messages instead",
    'ask(2, "dies") ask(2, "who")': "ask: agent 2 is gone; alive(id) tells before",
    'ask(99, "who")': "no agent has the id 99: ids are whole numbers from 1 to 60 so far",
    'local kind = "noise" ask(2, kind)': "no agent type handles 'noise'",
    'ask(2, "tells")': "answer[1] is a function",
    'ask(2, "who", {f = print})': "body.f is a function",
    'ask(2, "fails")': "attempt to index field 'x'",
}


@pytest.mark.parametrize("call", REFUSED)
def test_4_12_what_cannot_be_asked_is_a_fault_that_says_so(call: str) -> None:
    def fault(place: tuple[int, str]) -> tuple[p.Fault | None, int]:
        world = Shares(asks(call, 60), [60, 0], *place[:1], vm=place[1]).run(2)
        return world.fault, world.tick

    found, tick = same_for(ALONE if "fails" not in call else ALONE[:1], fault)
    assert REFUSED[call] in found.message
    assert (found.tick, tick, found.file) == (1, 0, "agents/a.lua")
    who, line, handling = {
        "ba": (2, 10, "back {} from agent 1"),
        "ne": (51, 9, "next {} from agent 50"),
        "te": (2, 15, "tells {} from agent 1"),
        "fa": (2, 7, "fails {} from agent 1"),
    }.get(call[8:10], (1, 15, None))
    assert (found.agent, found.line, found.handling) == (who, line, handling)


@pytest.mark.parametrize(
    "call", ["pcall(ask, 2, 'fails')", "xpcall(function() ask(2, 'fails') end, log)"]
)
def test_4_12_pcall_cannot_hide_the_failure_of_another_but_ones_own_mistake(call: str) -> None:
    body = f"pcall(function() local ok = {call} self.kept = ok end)"
    failed = everywhere(asks(body), [3, 0], 1, places=ALONE).fault
    assert failed is not None
    assert (failed.agent, failed.handler, failed.line) == (2, "on.fails", 7)
    own = asks("self.own = {pcall(ask, 1, 'who')} self.more = ask(2, 'who').me")
    found = run(own, [3, 0], 1).state(1)
    assert found["own"][0] is False
    assert (found["own"][1][:18], found["more"]) == ("ask: agent 1 asks ", 2)


def test_4_12_ask_and_the_streams_of_those_who_draw_do_not_mix() -> None:
    """Each agent has one stream a tick, whoever is asked in between (4.10)."""
    source = """
        function init(self) self.drawn = {} end
        local function draw(self) self.drawn[#self.drawn + 1] = random() end
        function on.draw(self, msg, from)
          draw(self)
          if msg.deep then ask(msg.deep, "draw", {}) end
          draw(self)
        end
        function step(self)
          draw(self)
          if self.id == 2 then ask(1, "draw", {deep = 3}) ask(3, "draw", {deep = 1}) end
          draw(self)
          send(self.id % 3 + 1, "draw", {})
          after(1, "draw", {})
        end
    """.replace("local function draw", "local function put").replace(" draw(self)", " put(self)")

    def drawn(regime: str) -> Outcome:
        return run(written(head(regime, 3), a=source, b=""), [3, 0], 2, seed=7)

    for regime in REGIMES[:2]:
        found = drawn(regime)
        # first tick: 2 at its step, 2 in mail, and what 2 asks: four of 1 and 3; then also own mail
        first, second = [8, 4, 8], [10, 6, 10]
        for id_ in (1, 2, 3):
            expected = draws(7, id_, 1, first[id_ - 1]) + draws(7, id_, 2, second[id_ - 1])
            assert found.state(id_)["drawn"] == expected

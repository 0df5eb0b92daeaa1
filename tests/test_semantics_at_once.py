"""Sequential regimes: births, deaths, moves, ends of ticks, what a restore keeps (4.12, 4.17)."""

from __future__ import annotations

from typing import Any

import pytest
from shares import Shares
from test_random import draws
from test_semantics_regimes import ALONE, NOTE, REGIMES, head, run
from worlds import clean, everywhere, outcome, same_for
from written import under_way, written


def test_4_12_a_removal_is_immediate_its_mail_is_dead_and_it_has_no_turn() -> None:
    source = """
        function on.hit(self, msg, from) self.hits = (self.hits or 0) + 1 remove() end
        function on.note(self, msg, from) self.notes = (self.notes or 0) + 1 end
        function step(self)
          self.acts = (self.acts or 0) + 1
          if tick() == 1 and self.id == 1 then
            send(3, "hit") send(3, "hit") send(3, "note") broadcast("a", "note")
            send(2, "note", {}, 2) send(3, "note", {}, 2)
          end
          if tick() == 1 and self.id == 2 then
            self.saw = {tostring(alive(3)), #agents("a"), tostring(position(3)),
              tostring(look(3, "x")), count_at(2, 0)}
            send(3, "note")
          end
        end
    """
    spec = written(head('"ordered"', 4), a=source, b="")
    found = run(spec, [4, 0], 3)
    assert found.state(2)["saw"] == ["false", 3, "nil", "nil", 0]
    assert {i: (s["acts"], s.get("notes")) for i, (_, s, _) in found.states.items()} == {
        1: (3, None), 2: (3, 2), 4: (3, 1),
    }  # fmt: skip
    # to 3: a hit was handled, the second hit and three notes were dead; 2 read one late, and
    # the broadcast reached 2 and 4
    assert found.counts == (8, 4, 4)


def test_4_12_after_remove_the_step_finishes_and_what_it_did_stands() -> None:
    source = NOTE + """
        function step(self)
          if self.id == 1 and tick() == 1 then
            remove()
            send(2, "note", {t = "left"}) spawn("a", {by = "one"})
            layer.heat:add(0, 0, 7)
            self.lives = tostring(alive(1))
          end
          if self.id == 2 then self.heat = layer.heat(0, 0) self.n = #agents("a") end
        end
    """  # fmt: skip
    found = run(written(head('"ordered"', 3), a=source, b=""), [3, 0], 1)
    assert found.state(2) == {"got": "1left1 ", "heat": 7, "n": 3}
    assert (sorted(found.states), found.state(4)["parent"]) == ([2, 3, 4], 1)


@pytest.mark.parametrize("regime", REGIMES)
def test_4_12_a_newborn_exists_at_once_but_has_no_turn_in_its_tick(regime: str) -> None:
    source = """
        function init(self)
          self.acts, self.born = 0, tick()
          if self.parent then
            self.at = {position()}
            send(self.parent, "hello", {x = self.x})
            if self.deep then spawn("a", {x = "grandchild"}) end
          end
        end
        function on.hello(self, msg, from)
          self.child, self.alive, self.look = from, alive(from), look(from, "x")
          self.near = #neighbors(0)
        end
        function step(self)
          self.acts = self.acts + 1
          if tick() == 2 and self.id == 2 then
            move_to(5, 5)
            spawn("a", {x = "child", deep = true})
            self.before = #agents("a")
          end
        end
    """
    found = run(written(head(regime, 3, 1), a=source, b=""), [3, 1], 3)
    parent = found.state(2)
    if "before" not in parent:
        assert regime == '"uniform"'  # its turn did not come
        return
    assert (parent["before"], parent["child"], parent["alive"], parent["look"]) == (
        3, 5, True, "child",
    )  # fmt: skip
    assert parent["near"] == 2
    lives = {i: (s["born"], s["acts"], s["at"]) for i, (_, s, _) in found.states.items() if i > 4}
    acts = 1 if regime != '"uniform"' else lives[5][1]
    assert lives[5] == (2, acts, [5, 5])
    assert (lives[6][0], lives[6][2], found.state(6)["parent"]) == (2, [5, 5], 5)
    assert found.counts == (2, 2, 0)


def test_4_12_a_newborn_that_removes_itself_or_is_in_tick_0_is_closed_as_ever() -> None:
    source = """
        function init(self)
          self.born = tick()
          if not self.parent and self.id == 2 then spawn("a", {x = 1}) end
          if self.parent == 3 then remove() end
        end
        function step(self) if tick() == 1 and self.id == 3 then spawn("a", {x = 2}) end end
    """
    spec = written(head('"ordered"', 3, more="[metrics]\nn = 'count(a)'\n"), a=source, b="")
    found = run(spec, [3, 0], 2)
    assert sorted(found.states) == [1, 2, 3, 4]
    assert (found.state(4)["born"], [row["n"] for _, row in found.rows]) == (0, [4, 4, 4])


def test_4_12_metrics_and_the_environments_step_see_the_state_at_the_end_of_the_tick() -> None:
    source = """
        function init(self) self.x = 0 end
        function step(self)
          self.x = self.x + 1
          move_by(1, 0) send("environment", "add", {n = 1})
        end
    """
    environment = """
        function init(env) env.n = 0 end
        function on.add(env, msg) env.n = env.n + msg.n end
        function step(env)
          log(env.n, look(4, "x"), position(4))
          env.n = env.n * 10
          layer.heat:set(0, 0, env.n)
          send(1, "note", {t = "step"})
        end
    """
    more = "[metrics]\nn = 'env.n'\nx = 'sum(a, self.x)'\nheat = 'layer.heat(0, 0)'\n"
    more += "noted = 'count(a, self.got == \"1step0 2step0 \")'\n"
    spec = written(head('"random"', 4, more=more), a=NOTE + source, b="", environment=environment)
    found = run(spec, [4, 0], 2)
    assert found.lines() == [(1, 0, "4\t1\t4\t0"), (2, 0, "44\t2\t5\t0")]
    # what the environment sends in its step is handled before the tick ends
    assert found.rows == [
        (0, {"n": 0, "x": 0, "heat": 0, "noted": 0}),
        (1, {"n": 40, "x": 4, "heat": 40, "noted": 0}),
        (2, {"n": 440, "x": 8, "heat": 440, "noted": 1}),
    ]


def test_4_12_layers_follow_their_rules_once_a_tick_after_all_turns() -> None:
    toml = head('"ordered"', 3).replace("heat = 0", 'heat = { step = "v * 2", decay = 0.5 }, l = 1')
    source = "function step(self) layer.heat:add(0, 0, 1) self.x = layer.heat(0, 0) end"
    found = run(written(toml, a=source, b=""), [3, 0], 2)
    assert found.field("x") == [4, 5, 6]


def test_4_12_a_cell_that_was_left_is_free_for_the_next_and_a_taken_one_is_refused() -> None:
    toml = head('"ordered"', 4).replace("height = 9", "height = 9, single = true")
    source = """
        function on.blocked(self, msg) self.told = true end
        function step(self)
          if tick() == 1 then
            -- each to the right: the next cell is taken, but for the last agent
            self.first = move_by(1, 0)
          elseif tick() == 2 then
            self.second = move_to(self.id - 1, 5) self.stays = move_by(0, 0)
            self.at = {position()}
          end
        end
    """
    found = run(written(toml, a=source, b="function on.note(self) end"), [4, 0], 3)
    assert found.field("first") == [False, False, False, True]
    assert found.field("second") == [True] * 4
    assert found.field("stays") == [True] * 4
    assert found.field("at") == [[0, 5], [1, 5], [2, 5], [3, 5]]
    assert found.field("told") == [None] * 4


def test_4_12_a_newborn_whose_cell_is_taken_is_off_the_grid_and_told_in_the_next_tick() -> None:
    toml = head('"ordered"', 4).replace("height = 9", "height = 9, single = true")
    source = """
        function on.blocked(self, msg, from) self.told = {msg.x, msg.y, from, tick(), message()} end
        function step(self)
          if tick() == 1 and self.id == 1 then
            spawn("a", {}, 3, 0) spawn("a", {}, 7, 7) spawn("a", {}, 7, 7)
          end
          self.at = {position()}
        end
    """
    found = run(written(toml, a=source, b=""), [4, 0], 2)
    assert [found.state(i)["at"] for i in (5, 6, 7)] == [{}, [7, 7], {}]
    told = [found.state(i).get("told", [])[:6] for i in (5, 6, 7)]
    assert told == [[3, 0, 0, 2, 1, "blocked"], [], [7, 7, 0, 2, 1, "blocked"]]


def test_4_12_in_tick_0_those_may_be_asked_whose_init_has_run_and_they_go_on_drawing() -> None:
    source = """
        function init(self)
          self.drawn = {random()}
          if self.id > 1 then self.heard = ask(1, "draw", {}) end
          if param.early and self.id == 1 then ask(2, "draw", {}) end
        end
        function on.draw(self, msg, from)
          self.drawn[#self.drawn + 1] = random()
          return self.drawn[#self.drawn]
        end
    """
    toml = head('"ordered"', 3) + "[parameters]\nearly = false\n"
    spec = written(toml, a=source, b="")
    found = run(spec, [3, 0], 0, seed=5)
    stream = draws(5, 1, 0, 3)
    assert found.state(1)["drawn"] == stream
    assert [found.state(i)["heard"] for i in (2, 3)] == stream[1:]
    early = everywhere(spec, [3, 0], 0, places=ALONE, parameters={"early": True}).fault
    assert early is not None
    assert early.message == (
        "ask: the init of agent 2 has not run yet; ask in a later tick, or send a message"
    )


@pytest.mark.parametrize("to", ["agent 1", "the environment"])
def test_4_12_messages_that_go_round_without_end_are_a_fault_of_kind_limit(to: str) -> None:
    source = """
        function on.ping(self, msg, from) send(from, "ping") end
        function step(self)
          if tick() == 2 and self.id == 2 then TO end
        end
    """.replace("TO", "send(1, 'ping')" if to == "agent 1" else "send('environment', 'ping')")
    environment = "function on.ping(env, msg, from) send(from, 'ping') end"
    spec = written(head('"ordered"', 3), a=source, b="", environment=environment)
    found = everywhere(spec, [3, 0], 3, places=ALONE)
    assert found.fault is not None
    assert (found.fault.kind, found.fault.tick, found.tick) == ("limit", 2, 1)
    assert found.fault.message.startswith(
        "messages go round without end: one turn was followed by more than 100000 messages, the "
        "last a 'ping' from "
    )


def test_4_12_after_1_comes_in_the_next_tick_and_is_no_round_without_end() -> None:
    source = """
        function on.again(self, msg) self.n = (self.n or 0) + 1 after(1, "again", {n = 1}) end
        function on.boxed(self, msg)
          local t = {}
          self.m = (self.m or 0) + 1 send(self.id, "boxed", t, 1)
        end
        function step(self)
          if tick() == 1 then after(1, "again") send(self.id, "boxed", {}, 1) end
        end
    """
    found = run(written(head('"random"', 3), a=source, b=""), [3, 0], 5)
    assert (found.field("n"), found.field("m")) == ([4, 4, 4], [4, 4, 4])
    assert found.counts == (30, 24, 0)


@pytest.mark.parametrize("regime", REGIMES)
def test_4_10_an_agents_stream_is_one_whatever_is_interleaved(regime: str) -> None:
    source = """
        function init(self) self.drawn = {random()} end
        function on.draw(self, msg, from) self.drawn[#self.drawn + 1] = random() end
        function step(self)
          self.drawn[#self.drawn + 1] = random()
          send(self.id % 5 + 1, "draw") after(1, "draw")
        end
    """
    found = run(written(head(regime, 3, 2), a=source, b=source), [3, 2], 3, seed=11)
    for id_ in range(1, 6):
        drawn = found.state(id_)["drawn"]
        streams = [draws(11, id_, tick, len(drawn)) for tick in range(4)]
        place, expected = 0, []
        for stream in streams:
            used = 0
            while place < len(drawn) and drawn[place] == stream[used]:
                used, place = used + 1, place + 1
            expected.append(used)
        assert place == len(drawn)
        if regime != '"uniform"':
            assert expected == [1, 2, 3, 3]


BUSY = """
function init(self) self.x, self.mix = 0, 0 end
function on.note(self, msg, from)
  local sent, kind, seq = message()
  self.mix = (self.mix * 31 + from * 7 + sent * 3 + seq + (msg.n or 0)) % 1000003
end
function on.sum(self, msg, from) self.mix = self.mix + 1 return self.mix end
function step(self)
  self.x = self.x + random(3)
  local r = random()
  if r < 0.2 then spawn("b", {gift = self.id}, random(9) - 1, 2)
  elseif r < 0.3 and #agents("a") > 2 then remove()
  elseif r < 0.5 then send(choice(agents("a")), "note", {n = self.x}, random(3))
  elseif r < 0.6 then broadcast("a", "note", {n = 1}, 2) broadcast("b", "note")
  elseif r < 0.7 then send("environment", "put", {n = self.x}, random(2))
  elseif r < 0.8 and agents("a")[1] ~= self.id then self.mix = self.mix + ask(agents("a")[1], "sum")
  else self.mix = self.mix + ask("environment", "put", {n = 1}) end
  if random() < 0.5 then move_to(random(9) - 1, random(9) - 1) end
  layer.heat:add(random(9) - 1, 0, #neighbors(2) + (look(agents("a")[1], "x") or 0))
  if random() < 0.2 then link_to(agents("a")[1] == self.id and agents("a")[2] or agents("a")[1]) end
end
"""
KEEPER = """
function init(env) env.n, env.who = 0, {} end
function on.put(env, msg, from)
  env.n = env.n + msg.n
  env.who[#env.who % 5 + 1] = from
  if random() < 0.2 then after(2, "put", {n = 1}) end
  return env.n % 7
end
function step(env)
  if tick() % 3 == 0 then broadcast("a", "note", {n = env.n}) spawn("a", {gift = env.n}, 3, 3) end
  send(agents("a")[1], "note", {n = 2}, 2)
end
"""


@pytest.mark.parametrize("regime", REGIMES)
def test_4_17_a_sequential_world_goes_on_identically_after_a_restore_at_any_tick(
    regime: str,
) -> None:
    more = "[metrics]\nx = 'sum(a, self.x)'\nn = 'env.n + layer.heat:sum()'\nm = \"mail('note')\"\n"
    toml = head(regime, 6, 2, more).replace(
        "heat = 0 }", 'heat = 0 }\nnetwork = { kind = "empty" }'
    )
    spec = written(toml, a=BUSY, b=BUSY.replace("spawn(", "log("), environment=KEEPER)

    def through(at: int) -> Any:
        world = Shares(spec, [6, 2], vm="lua52" if at == -2 else "")
        for tick in range(10):
            world.run(tick)
            if tick == at:
                world = world.restored(1, "lua52" if tick % 2 else "luajit21")
            elif at == -3:
                world.digest()
        found = clean(outcome(world))
        if at < 0:
            sent, delivered, dead = found.counts
            assert (sent > 50, sent) == (True, delivered + dead + under_way(world))
        return found.digest, found.rows[-1], found.state(1) if 1 in found.states else None

    same_for((-1, -2, -3, 0, 1, 2, 4, 7), through)

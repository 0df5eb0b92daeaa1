"""Activation regimes: one agent at a time, and what it does is seen at once (design 4.12)."""

from __future__ import annotations

from typing import Any

import pytest
from shares import Shares
from test_random import draws
from worlds import ON_EACH_VM, Outcome, clean, everywhere, outcome, same_for
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
    found = run(
        written(head('"ordered"'), a=source, b="", environment=environment), [4, 0], 1
    )
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

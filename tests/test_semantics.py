"""The tick: creation, what is seen when, turns, births and deaths (design 4.1, 4.2, 4.4–4.7)."""

from __future__ import annotations

from shares import Shares, in_large_stack, model
from worlds import EVERYWHERE, clean, everywhere, same_for

LISTEN = "function on.hello(self, msg, from) self.heard = (self.heard or '') .. from .. ' ' end\n"


def test_4_01_tick_0_is_creation_in_agent_order_and_its_sends_are_due_in_tick_1() -> None:
    source = """
        function init(self) log("init", self.type, tick()) send(self.id % 4 + 1, "hello", {}) end
        function on.hello(self, msg, from)
          local sent = message()
          log("from", from, sent, tick())
        end
    """
    # b stands first in the file, so the agents of b come first, whatever the names are
    spec = model({"b": source, "a": source})
    created = clean(everywhere(spec, [2, 2], 0))
    assert created.lines() == [
        (0, 1, "init\tb\t0"), (0, 2, "init\tb\t0"), (0, 3, "init\ta\t0"), (0, 4, "init\ta\t0"),
    ]  # fmt: skip
    assert (created.tick, created.counts) == (0, (4, 0, 0))
    first = clean(everywhere(spec, [2, 2], 1))
    assert first.lines()[4:] == [
        (1, 1, "from\t4\t0\t1"),
        (1, 2, "from\t1\t0\t1"),
        (1, 3, "from\t2\t0\t1"),
        (1, 4, "from\t3\t0\t1"),
    ]
    assert (first.tick, first.counts) == (1, (4, 4, 0))


def test_4_01_ids_count_from_1_in_file_order_and_are_never_reused() -> None:
    source = """
        function step(self)
          if tick() == 1 and self.id == 2 then remove() end
          if tick() == 1 and self.id == 5 then remove() end
          if tick() == 2 and self.id == 1 then spawn("b") spawn("a") end
        end
    """
    found = clean(everywhere(model({"b": source, "a": source}), [3, 2], 3))
    assert {id_: kind for id_, (kind, _, _) in found.states.items()} == {
        1: "b", 3: "b", 4: "a", 6: "b", 7: "a",
    }  # fmt: skip


def test_4_01_n_ticks_close_the_ticks_1_to_n_and_the_answer_names_the_last_closed_one() -> None:
    spec = model({"a": "function step(self) self.seen = tick() end"})
    found = clean(everywhere(spec, [3], 7))
    assert (found.tick, found.field("seen")) == (7, [7, 7, 7])

    def closed(place: tuple[int, str]) -> list[tuple[int, int]]:
        world = Shares(spec, [3], place[0], vm=place[1])
        return [(world.run(last).tick, world.answers[0].tick) for last in (1, 2, 5)]

    assert same_for(EVERYWHERE, closed) == [(1, 1), (2, 2), (5, 5)]


def test_4_02_nothing_that_an_agent_does_in_a_tick_is_visible_to_another_before_the_next() -> None:
    source = """
        function init(self) self.seen = "" end
        function on.hello(self) self.seen = self.seen .. "mail " end
        function step(self)
          self.seen = self.seen .. #agents("a") .. " "
          if tick() == 2 and self.id == 1 then
            spawn("a", {seen = "born "})
            send(6, "hello")
          elseif tick() == 2 and self.id == 2 then
            remove()
          end
        end
    """
    found = clean(everywhere(model({"a": source}), [6], 3))
    # six agents at the start of tick 2, five and a newborn at the start of tick 3
    assert found.field("seen") == ["6 6 6 "] * 4 + ["6 6 mail 6 ", "6 "]


def test_4_04_a_turn_is_the_handlers_one_per_message_then_the_step() -> None:
    source = """
        function init(self) self.acts = "" end
        local function act(self, ...) self.acts = self.acts .. table.concat({...}) .. " " end
        function on.x(self, msg, from) act(self, "x", msg.n, "<", from) end
        function on.y(self, msg, from) act(self, "y", msg.n, "<", from) end
        function step(self)
          self.acts = self.acts .. "step" .. tick() .. " "
          if tick() == 1 then
            send(2, "y", {n = 1}) send(2, "x", {n = 2}) send(2, "y", {n = 3})
          end
        end
    """
    found = clean(everywhere(model({"a": source}), [3], 2))
    assert found.field("acts") == [
        "step1 step2 ",
        "step1 y1<1 x2<1 y3<1 y1<2 x2<2 y3<2 y1<3 x2<3 y3<3 step2 ",
        "step1 step2 ",
    ]


def test_4_04_an_agent_without_mail_of_a_type_without_step_costs_nothing() -> None:
    idle = LISTEN + "function init(self) self.n = 0 end"
    busy = "function step(self) if tick() == 2 and self.id == 41 then send(7, 'hello') end end"
    # With fuel for nothing at all, turns would fault; those that do not happen cannot.
    found = clean(everywhere(model({"idle": idle, "busy": busy}, fuel=1000), [40, 2], 4))
    assert [f for f in found.field("heard") if f] == ["41 "]
    assert found.counts == (1, 1, 0)


def test_4_04_broadcast_reaches_those_alive_at_tick_start_but_not_the_sender_and_counts_each() -> (
    None
):
    source = (
        LISTEN
        + """
        function step(self)
          if tick() == 1 and self.id == 2 then spawn("a") end
          if tick() == 1 and self.id == 3 then broadcast("a", "hello", {}) end
          if tick() == 2 and self.id == 1 then broadcast("a", "hello", {}) end
          if tick() == 2 and self.id == 6 then broadcast("b", "hello", {}, 2) end
        end
    """
    )
    found = clean(everywhere(model({"a": source, "b": LISTEN}), [5, 2], 4))
    # the newborn (8) was not alive when tick 1 began
    assert found.field("heard") == [
        "3 ", "3 1 ", "1 ", "3 1 ", "3 1 ", None, None, "1 ",
    ]  # fmt: skip
    assert found.counts == (9, 9, 0)


def test_4_04_a_broadcast_to_nobody_is_no_message() -> None:
    source = LISTEN + "function step(self) broadcast('a', 'hello') end"
    found = clean(everywhere(model({"a": source}), [1], 3))
    assert (found.field("heard"), found.counts) == ([None], (0, 0, 0))


def test_4_05_spawned_agents_get_ids_in_agent_order_of_their_parents_then_of_the_calls() -> None:
    source = """
        function init(self) self.born = tick() end
        function step(self)
          if tick() == 1 and (self.id == 1 or self.id == 4 or self.id == 6) then
            for n = 1, 2 do spawn(self.id == 4 and "a" or "b", {n = n}) end
          end
        end
    """
    found = clean(everywhere(model({"b": source, "a": source}), [3, 3], 1))
    born = {i: (k, s) for i, (k, s, _) in found.states.items() if i > 6}
    assert born == {
        7: ("b", {"born": 1, "n": 1, "parent": 1}), 8: ("b", {"born": 1, "n": 2, "parent": 1}),
        9: ("a", {"born": 1, "n": 1, "parent": 4}), 10: ("a", {"born": 1, "n": 2, "parent": 4}),
        11: ("b", {"born": 1, "n": 1, "parent": 6}), 12: ("b", {"born": 1, "n": 2, "parent": 6}),
    }  # fmt: skip


def test_4_05_a_spawned_agent_has_its_fields_first_then_init_and_acts_from_the_next_tick() -> None:
    source = """
        function init(self)
          if self.parent then
            log("init", self.id, self.parent, self.gift.deep, self.size, tick())
            send(self.parent, "hello")
            self.gift = nil
          end
        end
        function on.hello(self, msg, from)
          local sent = message()
          log("heard", from, sent, tick())
        end
        function step(self)
          if tick() == 2 and self.id == 2 then
            local gift = {deep = "a"}
            local given = select("#", spawn("a", {gift = gift}))
            gift.deep = "changed too late"
            log("given back", given)
          end
          if self.id > 3 then log("acts", tick()) end
        end
    """
    spec = model({"a": source}, state={"a": {"size": "10 * i"}})
    assert clean(everywhere(spec, [3], 4)).lines() == [
        (2, 2, "given back\t0"),
        (2, 4, "init\t4\t2\ta\t40\t2"),
        (3, 2, "heard\t4\t2\t3"),
        (3, 4, "acts\t3"),
        (4, 4, "acts\t4"),
    ]


def test_4_05_after_remove_the_handler_finishes_the_other_mail_is_dead_and_step_does_not_run() -> (
    None
):
    source = """
        function init(self) if self.id ~= 2 then for n = 1, 3 do send(2, "hit", {n = n}) end end end
        function on.hit(self, msg, from)
          if msg.n == 2 then remove() send(1, "last", {}) remove() end
        end
        function on.last(self, msg, from) self.told = from end
        function step(self)
          if self.id == 2 then log("step") end
          if tick() == 2 and self.id == 3 then send(2, "hit", {n = 1}) end
        end
    """
    found = clean(everywhere(model({"a": source}), [3], 3))
    # agent 2 read n=1 and n=2 of agent 1; n=3 and agent 3's three died with it, and a later one
    assert (found.counts, found.lines()) == ((8, 3, 5), [])
    assert {i: s for i, (_, s, _) in found.states.items()} == {1: {"told": 2}, 3: {}}


def test_4_05_a_newborn_that_removes_itself_in_its_init_never_acts() -> None:
    source = """
        function init(self)
          if self.parent then after(1, "hello") log("born") remove() end
        end
        function on.hello(self) log("hello") end
        function step(self)
          if self.parent then log("step") end
          if tick() == 1 and self.id == 2 then spawn("a") end
        end
    """
    spec = model({"a": source}, metrics={"n": "count(a)"})
    found = clean(everywhere(spec, [3], 3))
    assert found.lines() == [(1, 4, "born")]
    assert [row["n"] for _, row in found.rows] == [3, 4, 3, 3]
    assert found.counts == (1, 0, 1)


def test_4_05_a_tick_closes_with_removals_then_births_then_metrics() -> None:
    source = """
        function init(self) self.others = #agents("a") end
        function step(self)
          if tick() == 1 and self.id <= 2 then remove() end
          if tick() == 1 and self.id == 3 then spawn("a", {}) end
        end
    """
    spec = model({"a": source}, metrics={"n": "count(a)", "seen": "sum(a, self.others)"})
    found = clean(everywhere(spec, [4], 1))
    # the newborn's init sees two of the four, and itself
    assert found.rows == [(0, {"n": 4, "seen": 16}), (1, {"n": 3, "seen": 11})]


def test_4_05_what_an_init_spawns_while_a_tick_closes_is_born_when_the_next_one_closes() -> None:
    source = """
        function init(self)
          self.born = tick()
          if self.depth and self.depth > 0 then spawn("a", {depth = self.depth - 1}) end
        end
        function step(self) if tick() == 1 and self.id == 2 then spawn("a", {depth = 2}) end end
    """
    found = clean(everywhere(model({"a": source}), [2], 4))
    born = {i: (s["born"], s["parent"]) for i, (_, s, _) in found.states.items() if i > 2}
    assert born == {3: (1, 2), 4: (2, 3), 5: (3, 4)}


def test_4_06_a_second_round_is_held_only_in_ticks_with_changes_and_numbers_ids_globally() -> None:
    source = "function step(self) if tick() % 2 == 0 and self.id <= 9 then spawn('a') end end"

    def rounds() -> list[str]:
        world = Shares(model({"a": source}), [9], 3)
        kinds = [type(world.run(tick).answers[0]).__name__ for tick in range(1, 5)]
        parents = [state.get("parent") for _, state, _ in world.states().values()]
        assert parents == [None] * 9 + list(range(1, 10)) * 2
        return kinds

    assert in_large_stack(rounds) == ["Stepped", "Closed", "Stepped", "Closed"]


def test_4_07_what_is_in_agents_and_what_is_under_way_is_conserved_at_every_closed_tick() -> None:
    source = """
        function on.pay(self, msg) self.cash = self.cash + msg.amount end
        function step(self)
          local amount = random(0, self.cash)
          if amount > 0 then
            self.cash = self.cash - amount
            if amount % 2 == 0 then
              send(choice(agents("a")), "pay", {amount = amount}, random(1, 4))
            else
              local body = {amount = amount}
              send(choice(agents("a")), "pay", body)
            end
          end
        end
    """
    spec = model(
        {"a": source},
        state={"a": {"cash": "20"}},
        metrics={"held": "sum(a, self.cash)", "under_way": "mail('pay', msg.amount)"},
        invariants={"money": "sum(a, self.cash) + mail('pay', msg.amount) == 400"},
    )
    found = clean(everywhere(spec, [20], 12))
    assert (found.tick, found.ended) == (12, "")
    assert [row["held"] + row["under_way"] for _, row in found.rows] == [400] * 13  # type: ignore[operator]
    assert all(row["under_way"] for _, row in found.rows[1:])


def test_4_07_mail_counts_undelivered_messages_to_living_agents_a_broadcast_as_many() -> None:
    source = """
        function on.coin(self) end
        function on.note(self) end
        function step(self)
          if tick() == 1 then
            if self.id == 1 then send(2, "coin", {n = 1}, 3) send(3, "coin", {n = 10}) end
            if self.id == 4 then broadcast("a", "coin", {n = 100}, 2) end
            if self.id == 2 then remove() end
          end
        end
    """
    spec = model(
        {"a": source},
        metrics={"c": "mail('coin')", "n": "mail('coin', msg.n)", "other": "mail('note')"},
    )
    found = clean(everywhere(spec, [5], 5))
    rows = [(row["c"], row["n"], row["other"]) for _, row in found.rows]
    # agent 2 is gone when tick 1 closes: its coin and its share of the broadcast with it
    assert rows == [(0, 0, 0), (4, 310, 0), (3, 300, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0)]
    assert found.counts == (6, 4, 2)

"""Small models made of random actions: one outcome, whatever the workers, VM and restore."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from shares import Shares, model
from worlds import Outcome, outcome, same_for

from runtime import protocol as p

TYPES = ("b", "a", "c")
KINDS = ("poke", "tell")
TICKS = 7
MOST = 25
"""A type does not spawn beyond this."""


@dataclass(frozen=True)
class Case:
    """A model and how to run it; ``restore``: at which tick, from and to how many workers."""

    spec: p.ModelSpec
    counts: list[int]
    seed: int
    restore: tuple[int, int, int]

    def __repr__(self) -> str:
        sources = "\n".join(f"-- {t.name}\n{t.source}" for t in self.spec.types)
        metrics = {m.name: m.text for m in self.spec.metrics}
        return f"{self.counts} seed={self.seed} restore={self.restore} {metrics}\n{sources}"


NUMBERS = st.sampled_from(
    [
        "1",
        "self.n % 7",
        "random()",
        "random(1, 9)",
        "tick()",
        "self.id",
        "-0.0",
        "0.1 * self.n",
        "normal()",
    ]
)
BODIES = st.builds(
    lambda number, form: form.replace("NUMBER", number),
    NUMBERS,
    st.sampled_from([
        "{x = NUMBER}", "{x = NUMBER, t = {1, {y = NUMBER}}}", "{x = NUMBER, s = 'w' .. self.id}",
        "{x = NUMBER, y = self.n, z = self.n > 3}", "{x = NUMBER, t = self.list}",
    ]),
)  # fmt: skip
DELAYS = st.sampled_from(["", "", ", 1", ", 2", ", random(1, 4)"])


def messages(types: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Statements that send."""
    kind, name = st.sampled_from(KINDS), st.sampled_from(types)
    one = st.builds(
        lambda t, k, b, d: (
            f"if #agents('{t}') > 0 then send(choice(agents('{t}')), '{k}', {b}{d}) end"
        ),
        name, kind, BODIES, DELAYS,
    )  # fmt: skip
    boxed = st.builds(
        lambda t, k, b, d: f"local body = {b} body.more = {{self.id}} if #agents('{t}') > 0 then "
        f"send(agents('{t}')[1], '{k}', body{d}) end",
        name, kind, BODIES, DELAYS,
    )  # fmt: skip
    every = st.builds(
        lambda t, k, b, d: f"if random() < 0.15 then broadcast('{t}', '{k}', {b}{d}) end",
        name, kind, BODIES, DELAYS,
    )  # fmt: skip
    own = st.builds(lambda k, b, d: f"after({d[2:] or '1'}, '{k}', {b})", kind, BODIES, DELAYS)
    family = st.builds(
        lambda k, b: f"if self.parent then send(self.parent, '{k}', {b}) end", kind, BODIES
    )
    return st.one_of(one, one, boxed, every, own, family)


def births(types: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda t, b: (
            f"if random() < 0.2 and #agents('{t}') < {MOST} then spawn('{t}', {{gift = {b}}}) end"
        ),
        st.sampled_from(types), BODIES,
    )  # fmt: skip


DEATHS = st.sampled_from(
    [
        "if random() < 0.1 then remove() end",
        "if self.n % 13 == 5 then remove() end",
        "if tick() == 4 then remove() end",
    ]
)


NOTES = st.builds(
    lambda number, form: form.replace("NUMBER", number),
    NUMBERS,
    st.sampled_from([
        "self.n = (self.n * 31 + NUMBER * 10) % 1000003", "self.list[#self.list % 5 + 1] = NUMBER",
        "record('sample', NUMBER)", "if self.n % 5 < 1 then log(self.n, NUMBER) end",
        "self.list = shuffle({1, 2, NUMBER, self.n})", "self.twin = self.list",
        "self.seen = table.concat(agents('b'), ' ')",
    ]),
)  # fmt: skip

READ = """
local sent, kind, seq = message()
self.n = (self.n * 7 + seq + 3 * sent + 5 * from + (msg.x or 0)) % 1000003
self.heard = (self.heard or 0) + 1
"""


@st.composite
def cases(draw: st.DrawFn) -> Case:
    types = TYPES[: draw(st.integers(1, 3))]
    sends, bears = messages(types), births(types)
    actions = st.one_of(sends, sends, sends, bears, DEATHS, NOTES, NOTES)

    def block(least: int, most: int) -> str:
        lines = draw(st.lists(actions, min_size=least, max_size=most))
        return "\n".join(f"do {line} end" for line in lines)

    sources = {}
    for name in types:
        # so few answers to a message that mail dies out
        parts = [f"function init(self)\nself.list = {{}}\n{block(0, 2)}\nend"]
        parts += [
            f"function on.{kind}(self, msg, from)\n{READ}"
            f"if self.heard % 3 == 1 then\n{block(0, 2)}\nend\nend"
            for kind in KINDS
        ]
        if name == types[0] or draw(st.booleans()):
            # so that something happens in every model
            acts = [draw(sends), draw(bears), draw(DEATHS)]
            lines = "\n".join(f"do {line} end" for line in acts[: draw(st.integers(1, 3))])
            parts.append(f"function step(self)\n{lines}\n{block(1, 4)}\nend")
        sources[name] = "\n".join(parts)
    every = {
        "n": f"sum({types[-1]}, self.n)",
        "mean": f"mean({types[0]}, self.n * 0.1)",
        "pokes": "mail('poke')",
        "told": "mail('tell', msg.x)",
        "gini": f"gini({types[0]}, self.heard or 0)",
        "median": f"quantile({types[-1]}, self.n, 0.4)",
    }
    metrics = {
        name: every[name] for name in draw(st.sets(st.sampled_from(sorted(every)), max_size=3))
    }
    spec = model(sources, metrics=metrics, state={name: {"n": "i + random()"} for name in types})
    counts = [draw(st.integers(3, 12)), *(draw(st.integers(0, 9)) for _ in types[1:])]
    workers = st.sampled_from([1, 2, 3, 5])
    restore = (draw(st.integers(0, TICKS - 1)), draw(workers), draw(workers))
    return Case(spec, counts, draw(st.integers(0, 2**53 - 1)), restore)


@given(cases())
@settings(max_examples=30)
def test_4_08_any_model_has_one_outcome_for_1_2_3_5_workers_over_runs_and_on_both_vms(
    case: Case,
) -> None:
    places = [(1, "luajit21"), (1, "luajit21"), (2, "luajit21"), (3, "luajit21"), (5, "luajit21"),
              (1, "lua52"), (3, "lua52")]  # fmt: skip

    def run(place: tuple[int, str]) -> Outcome:
        return outcome(
            Shares(case.spec, case.counts, place[0], vm=place[1], seed=case.seed).run(TICKS)
        )

    found = same_for(places, run)
    assert (found.fault, found.tick) == (None, TICKS)


@given(cases())
@settings(max_examples=30)
def test_4_17_any_model_goes_on_identically_after_a_restore_on_other_workers(case: Case) -> None:
    at, before, after = case.restore

    def run(way: str) -> tuple[str, list[object]]:
        world = Shares(case.spec, case.counts, before, seed=case.seed).run(at)
        if way == "restored":
            world = world.restored(after)
        elif way == "restored on the other VM":
            world = world.restored(after, "lua52")
        found = outcome(world.run(TICKS))
        assert found.fault is None, found.fault
        return found.digest, [row for row in found.rows if row[0] > at]

    same_for(("whole", "restored", "restored on the other VM"), run)

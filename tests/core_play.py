"""A simulation of the core with nothing around it: plays its workers by hand."""

from __future__ import annotations

from runtime.commands import CreateSimulation, RunSimulation
from runtime.core.effects import Effect, NeedWorkers, ReplyTo, SendOrder
from runtime.core.job import Settings
from runtime.core.simulation import Simulation
from runtime.protocol import (
    Answer,
    Checked,
    Dump,
    Dumped,
    ExpressionSpec,
    Loaded,
    ModelSpec,
    ParameterSpec,
    Settled,
    Step,
    Stepped,
    TypeSpec,
)

EPOCH = 7
ENVIRONMENT = b"e" * 16
CREATE_TICKET = 1
RUN_TICKET = 2
SETTINGS = Settings(cores=2, memory_bytes=8 << 30, deadline_s=30.0)


def model(*, metrics: bool = False, activation: str = "synchronous") -> ModelSpec:
    """Two types; a metric if wanted."""
    return ModelSpec(
        name="market",
        activation=activation,
        parameters=(ParameterSpec("n", 4),),
        types=(
            TypeSpec("buyer", ExpressionSpec("count", "n")),
            TypeSpec("seller", ExpressionSpec("count", "n")),
        ),
        metrics=(ExpressionSpec("price", "mean(buyer, self.price)"),) if metrics else (),
    )


def simulation(
    workers: int, *, metrics: bool = False, activation: str = "synchronous"
) -> Simulation:
    """One that was just asked for; ``start`` begins."""
    return Simulation(
        "market-1",
        model(metrics=metrics, activation=activation),
        [],
        CreateSimulation(name="market", files={}, parameters={"n": 4}, workers=workers, seed=5),
        CREATE_TICKET,
        EPOCH,
        SETTINGS,
        0.0,
    )


def step_order(tick: int, last: int | None = None, **fields: object) -> Step:
    """The order to run a tick, or with ``last`` the ticks up to there."""
    return Step(epoch=EPOCH, tick=tick, last=tick if last is None else last, **fields)


def replies(effects: list[Effect]) -> list[ReplyTo]:
    """What clients are answered."""
    return [effect for effect in effects if isinstance(effect, ReplyTo)]


def stepped(worker: int, tick: int, **fields: object) -> Stepped:
    """A worker's answer about a tick, of this epoch."""
    return Stepped(worker=worker, tick=tick, **{"epoch": EPOCH, "agents": [2, 2], **fields})


def all_answer(sim: Simulation, *answers: Answer, now: float = 0.0) -> list[Effect]:
    """Each answer from the worker that signed it; the effects of all."""
    effects: list[Effect] = []
    for answer in answers:
        effects += sim.handle(answer.worker, answer, [], now)
    return effects


def created(workers: int, *, metrics: bool = False) -> Simulation:
    """One whose tick 0 is closed: 8 agents."""
    sim = simulation(workers, metrics=metrics)
    assert sim.start() == [NeedWorkers(1)]
    sim.workers_ready([100], 0.0)
    all_answer(sim, Checked(worker=0, epoch=EPOCH, diagnostics=[], counts=[4, 4]))
    if workers > 1:
        sim.workers_ready([100 + w for w in range(workers)], 0.0)
    all_answer(sim, *(Loaded(worker=w, epoch=EPOCH, vm="luajit21") for w in range(workers)))
    all_answer(sim, *(stepped(w, 0) for w in range(workers)))
    if metrics and workers > 1:
        all_answer(sim, *(Settled(worker=w, epoch=EPOCH, tick=0) for w in range(workers)))
    return sim


def opened(workers: int, ticks: int, *, metrics: bool = False, until: str = "") -> Simulation:
    """One with a run under way: the first ``Step`` is out."""
    sim = created(workers, metrics=metrics)
    sim.run(RUN_TICKET, RunSimulation(sim=sim.name, ticks=ticks, until=until), 0.0)
    return sim


def dumped(effects: list[Effect], tick: int) -> list[tuple[Dumped, list[bytes]]]:
    """The answers to the ``Dump`` orders among the effects: every digest is of its shard number,
    and the environment's is ``ENVIRONMENT``."""
    answers = []
    for effect in effects:
        if isinstance(effect, SendOrder) and isinstance(effect.order, Dump):
            shards = effect.order.shards
            answer = Dumped(worker=effect.worker, epoch=EPOCH, tick=tick, shards=shards)
            answers.append((answer, [*(bytes([s]) * 16 for s in shards), ENVIRONMENT]))
    return answers

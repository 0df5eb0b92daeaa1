"""The check of a model's files, as one job on one worker; and what its outcome says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runtime.commands import CheckModel, Failed, ModelChecked, ParameterInfo
from runtime.core.effects import Effect, Forget, ReleaseWorkers, ReplyTo, Ticket
from runtime.core.job import Flow, Job, Loss, Settings
from runtime.protocol import Check, Checked, Diagnostic, ModelSpec, Scalar


class ModelCheck(Job):
    """Checks a model, answers the client, and is over."""

    def __init__(
        self,
        model: ModelSpec,
        found: Sequence[Diagnostic],
        command: CheckModel,
        ticket: Ticket,
        epoch: int,
        settings: Settings,
        now: float,
    ) -> None:
        super().__init__(f"check of {model.name}", epoch, settings, now)
        self._model = model
        self._found = found
        self._command = command
        self._ticket = ticket

    def start(self) -> list[Effect]:
        """Begin; called once."""
        self._begin(self._check())
        return self._flush()

    def _check(self) -> Flow:
        self._need(1)
        yield
        self.workers = 1
        command = self._command
        self._to_all(
            Check(
                epoch=self.epoch,
                model=self._model,
                parameters=command.parameters,
                dry_ticks=0 if errors_among(self._found) else command.dry_ticks,
                vm=command.vm,
            )
        )
        self._open(Checked, -1)
        [(checked, _)] = yield
        assert isinstance(checked, Checked)
        self._finish(model_checked(self._model, self._found, checked, command.parameters), False)

    def _lost(self, worker: int, loss: Loss) -> None:
        self._finish(
            Failed(
                kind="WorkerLost",
                message=f"{self.name}: the worker (process {loss.pid}) {loss.how}"
                + (f" while it ran agent {loss.agent}" if loss.agent else ""),
                hint="check with dry_ticks 0, or look for a loop that does very much in few turns",
            ),
            kill=True,
        )

    def _idle(self) -> None:
        """Nothing waits: the job is over."""

    def _broken(self, reason: str) -> None:
        self._finish(Failed(kind="GedankenError", message=f"{self.name}: {reason}"), kill=True)

    def _finish(self, reply: ModelChecked | Failed, kill: bool) -> None:
        self._out += [ReplyTo(self._ticket, reply), ReleaseWorkers(kill), Forget()]


def model_checked(
    model: ModelSpec,
    found: Sequence[Diagnostic],
    checked: Checked | None,
    parameters: Mapping[str, Scalar],
) -> ModelChecked:
    """The outcome: what reading model.toml ``found`` and what the worker did."""
    diagnostics = in_place_order([*found, *(checked.diagnostics if checked else ())])
    counts = checked.counts if checked else []
    return ModelChecked(
        ok=not errors_among(diagnostics),
        diagnostics=diagnostics,
        name=model.name,
        description=model.description,
        activation=model.regime(parameters),
        parameters=[
            ParameterInfo(p.name, p.default, p.min, p.max, p.choices, p.description)
            for p in model.parameters
        ],
        agents={t.name: count for t, count in zip(model.types, counts, strict=False) if count >= 0},
        metrics=list(checked.metrics) if checked else [],
        dry_ticks=checked.dry_ticks if checked else 0,
    )


def in_place_order(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Sorted by place, the same finding once; model.toml before the Lua files."""
    by_place = {(d.file, d.line, d.code, d.message): d for d in diagnostics}
    return [by_place[key] for key in sorted(by_place, key=lambda k: (k[0] != "model.toml", k))]


def errors_among(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Those that keep a model from running."""
    return [d for d in diagnostics if d.severity == "error"]


def does_not_check(name: str, diagnostics: Sequence[Diagnostic]) -> Failed:
    """The reply when a simulation was wanted of a model with errors."""
    errors = errors_among(diagnostics)
    first = errors[0]
    place = f"{first.file}:{first.line}: " if first.line else f"{first.file}: " * bool(first.file)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Failed(
        kind="ModelError",
        message=f"model {name} does not check: {place}{first.message}{more}",
        hint=first.hint,
        diagnostics=list(diagnostics),
    )

"""The coordinator process: one poll loop around the core.

``python -m runtime.coordinator [--dir DIR]`` serves until SIGTERM, SIGINT or ``Shutdown``; with
``--owned`` also until its standard input closes, which is how an embedded coordinator notices that
its owner is gone however that happened. It says ``ready ENDPOINT`` on standard output.

Clients and workers speak on sockets of their own, so a client cannot pose as a worker. Nothing that
arrives may end this process: what is malformed is refused, counted and logged.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final

from runtime import private
from runtime.core.effects import (
    Effect,
    Forget,
    NeedWorkers,
    RefuseAnswer,
    ReleaseWorkers,
    ReplyTo,
    SendOrder,
)
from runtime.core.job import Job, Loss, Settings
from runtime.core.simulation import Simulation
from runtime.desk import MAX_REQUEST, Desk
from runtime.errors import UsageError
from runtime.log import LEVELS, Log
from runtime.protocol import (
    MALFORMED,
    PROTOCOL,
    Hello,
    Unload,
    Unloaded,
    Welcome,
    decode_answer,
    encode,
)
from runtime.staff import MAX_FALSE_STARTS, Staff
from runtime.supervisor import State, Supervisor, Worker
from runtime.transport import Oversized, Waiter, listen

DEADLINE_S: Final = 30.0
WORKER_MODULE: Final = "workers.worker"
_UNLOAD_S: Final = 10.0
_STAY_S: Final = 0.002
"""How long workers are listened to before clients are looked at again, and the other way round: a
flood from one side, be it nonsense, must not silence the other."""
_MAX_UNREAD: Final = 1000
"""Responses that a client may leave unread before it is sent no more."""
_LOOK_S: Final = 1.0
"""While anything is under way, deadlines are looked at so often; waiting clients at their time."""
_TOP_UP_S: Final = 0.2
"""A spare worker is started when nothing ran for so long: not beside the first run."""


class Coordinator:
    """Sockets, worker processes and jobs of one coordinator process."""

    def __init__(
        self, directory: Path, settings: Settings, log: Log, log_level: str, worker_module: str
    ) -> None:
        self._log = log
        self._settings = settings
        self._stopping = False
        self._from_workers = listen(private.endpoint_of(directory, private.WORKERS))
        self._from_clients = listen(
            private.endpoint_of(directory, private.CLIENTS), MAX_REQUEST, _MAX_UNREAD
        )
        endpoint = private.endpoint_of(directory, private.WORKERS)
        self._supervisor = Supervisor(directory, endpoint, log, log_level, worker_module)
        self._staff = Staff(self._supervisor, log)
        self._desk = Desk(private.endpoint_of(directory, private.CLIENTS), settings, log)
        self._alarm = 0.0
        self._forbearing = 0.0
        """Until then no worker is taken for hung."""
        self._ran_at = time.monotonic()
        self.refused = 0
        """Messages that were out of place, since the start."""

    # --- the loop ------------------------------------------------------------------------------

    def serve(self, signals: socket.socket, owner: int | None) -> None:
        """Serve until told to stop. ``signals``: readable when a signal came; ``owner``: a
        descriptor that closes when the owner goes."""
        descriptors = [signals.fileno(), *([owner] if owner is not None else [])]
        waiter = Waiter([self._from_workers, self._from_clients], descriptors)
        self._prepare(1, time.monotonic())
        awake = float("inf")
        while not self._stopping:
            now = time.monotonic()
            if now > awake:
                # This process itself stood still: what workers answered meanwhile comes first.
                self._forbearing = now + _LOOK_S
            awake = max(self._alarm, now) + _LOOK_S
            if now >= self._alarm:
                self._look_around(now)
                continue
            ready = waiter.wait(self._alarm - now)
            if self._from_workers.socket in ready:
                self._hear_workers()
            if self._from_clients.socket in ready:
                self._hear_clients()
            if signals.fileno() in ready:
                with suppress(BlockingIOError):
                    signals.recv(4096)
                self._reap()
            if owner is not None and owner in ready and not os.read(owner, 4096):
                self.stop()

    def stop(self) -> None:
        """End the loop after this pass."""
        self._stopping = True

    def close(self) -> None:
        """End every worker, tell every waiting client, leave no socket."""
        self._supervisor.close()
        for peer, response in self._desk.close():
            self._from_clients.send(peer, [response])
        self._from_workers.close()
        self._from_clients.close()

    # --- workers -------------------------------------------------------------------------------

    def _hear_workers(self) -> None:
        """Take workers' messages, and stay with them for a few milliseconds while a round is open:
        waiting for several things at once costs as much as a whole round of two workers."""
        posts = self._staff.posts
        receive = self._from_workers.receive
        until = time.monotonic() + _STAY_S
        now, wait = 0.0, False
        while now < until:
            try:
                message = receive(wait)
            except Oversized as error:
                now = time.monotonic()
                self._refuse(f"{error} from a worker", error.peer)
                continue
            if message is None:
                return
            now = time.monotonic()
            peer, frames = message
            try:
                answer = decode_answer(frames[0])
            except MALFORMED as error:
                self._refuse(f"a malformed answer: {error}", peer)
                continue
            post = posts.get(peer)
            if post is None:
                self._hear_the_unemployed(peer, answer)
                wait = False
                continue
            crew, index = post
            job = crew.job
            try:
                effects = job.handle(index, answer, frames[1:], now)
            except Exception as error:
                effects = self._broken(job, error, now)
            if effects:
                self._carry_out(job, effects)
            wait = job.is_waiting

    def _hear_the_unemployed(self, peer: bytes, answer: object) -> None:
        """A message from a peer without a job: a Hello, or the answer to Unload."""
        if isinstance(answer, Hello):
            worker = self._supervisor.greet(answer.token, answer.pid)
            if worker is None:
                self._refuse(f"a Hello of process {answer.pid} with no token of ours", peer)
            elif answer.protocol != PROTOCOL:
                self._refuse(f"a worker of protocol {answer.protocol}, not {PROTOCOL}", peer)
                self._supervisor.kill(worker)
            else:
                worker.peer = peer
                self._staff.false_starts = 0
                self._assign()
            return
        leaving = [w for w in self._supervisor.among(State.UNLOADING) if w.peer == peer]
        if leaving and isinstance(answer, Unloaded):
            leaving[0].state = State.SPARE
            self._assign()
        else:
            self._refuse(f"{type(answer).__name__} of a worker without a job", peer)

    def _assign(self) -> None:
        """Give workers to the jobs that wait for them."""
        now = time.monotonic()
        try:
            complete = self._staff.assign(now)
        except OSError as error:
            crew = self._staff.next_in_line()
            if crew is not None:
                loss = Loss("worker", f"could not be started: {error.strerror}")
                self._carry_out(crew.job, crew.job.worker_lost(len(crew.workers), loss, now))
            return
        for crew, given in complete:
            for index, worker in enumerate(crew.workers):
                if worker in given:
                    welcome = Welcome(epoch=crew.job.epoch, worker=index)
                    self._from_workers.send(worker.peer, [encode(welcome)])
            if isinstance(crew.job, Simulation):
                crew.job.other_workers = self._staff.busy_workers(crew.job)
            pids = [w.pid for w in crew.workers]
            self._carry_out(crew.job, crew.job.workers_ready(pids, now))

    def _prepare(self, free: int, now: float) -> None:
        """Have so many workers free soon. When that fails, whoever needs one will be told."""
        try:
            self._staff.ensure(free, now)
        except OSError as error:
            self._log.write("warning", "cannot start a worker", reason=str(error))

    def _reap(self) -> None:
        """Some processes may have ended; hear first what they still had to say."""
        self._hear_workers()
        now = time.monotonic()
        for worker in self._supervisor.reap():
            self._note_death(worker, now)
        self._assign()

    def _note_death(self, worker: Worker, now: float) -> None:
        how = worker.how_it_ended()
        post = self._staff.posts.get(worker.peer)
        self._log.write("warning", "worker ended", worker_pid=worker.pid, how=how)
        if post is not None:
            crew, index = post
            loss = Loss("worker", how, worker.pid, *worker.read_crumb())
            self._carry_out(crew.job, crew.job.worker_lost(index, loss, now))
        elif worker.state is State.STARTING:
            self._staff.false_starts += 1
            crew_waiting = self._staff.next_in_line()
            if crew_waiting is not None:
                job = crew_waiting.job
                loss = Loss("worker", f"{how} before it was ready; see stderr", worker.pid)
                self._carry_out(job, job.worker_lost(len(crew_waiting.workers), loss, now))

    # --- clients -------------------------------------------------------------------------------

    def _hear_clients(self) -> None:
        until = time.monotonic() + _STAY_S
        while time.monotonic() < until:
            try:
                message = self._from_clients.receive()
            except Oversized as error:
                self._refuse(f"{error} from a client", error.peer)
                response = self._desk.refusal(
                    "", UsageError(f"{error} is larger than {MAX_REQUEST} bytes")
                )
                self._from_clients.send(error.peer, [response])
                continue
            if message is None:
                break
            peer, frames = message
            now = time.monotonic()
            self._alarm = 0.0
            for job, effects in self._desk.take(peer, frames, now):
                self._carry_out(job, effects)
            self._deliver()
            if self._desk.shutdown:
                self.stop()
                return
            self._prepare(self._desk.workers_soon() + self._staff.queued(), now)

    def _deliver(self) -> None:
        """Send the responses that the desk has ready."""
        for peer, response in self._desk.outgoing():
            self._from_clients.send(peer, [response])

    # --- effects -------------------------------------------------------------------------------

    def _carry_out(self, job: Job, effects: Sequence[Effect]) -> None:
        crew = self._staff.crew(job)
        send = self._from_workers.send
        order, header = None, b""
        for effect in effects:
            if type(effect) is SendOrder:
                if effect.order is not order:
                    order = effect.order
                    header = encode(order)
                send(crew.workers[effect.worker].peer, [header, *effect.blobs])
            elif type(effect) is ReplyTo:
                self._desk.answer(effect.ticket, effect.reply)
                self._deliver()
            elif type(effect) is RefuseAnswer:
                self._refuse(effect.reason, b"", job.name, effect.worker)
            elif type(effect) is NeedWorkers:
                self._staff.want(job, effect.count)
                self._assign()
            elif type(effect) is ReleaseWorkers:
                self._release(job, effect.kill)
            elif type(effect) is Forget:
                self._release(job, kill=True)
                self._desk.forget(job)

    def _release(self, job: Job, kill: bool) -> None:
        now = time.monotonic()
        unload = encode(Unload(epoch=job.epoch))
        for worker in self._staff.release(job, kill, now):
            self._from_workers.send(worker.peer, [unload])

    def _broken(self, job: Job, error: Exception, now: float) -> list[Effect]:
        text = "".join(traceback.format_exception(error))
        self._log.write("error", "internal error", job=job.name, traceback=text)
        return job.broken(f"{type(error).__name__}: {error}", now)

    def _refuse(self, reason: str, peer: bytes, job: str = "", worker: int = -1) -> None:
        self.refused += 1
        self._log.write(
            "warning",
            "refused",
            reason=reason,
            peer=peer.hex(),
            job=job,
            worker=worker,
            refused=self.refused,
        )

    # --- time ----------------------------------------------------------------------------------

    def _look_around(self, now: float) -> None:
        """Deadlines, waiting clients, spare workers; sets the time of the next look."""
        busy = False
        alarm = now + 3600.0
        for job in dict.fromkeys([*self._staff.jobs, *self._desk.simulations()]):
            if now >= self._forbearing:
                for index in job.overdue(now)[:1]:
                    self._end_hung(job, index, now)
            effects = job.expire(now)
            if effects:
                self._carry_out(job, effects)
            at = job.next_time()
            if at is not None:
                busy = True
                alarm = min(alarm, at)
        for state, limit in (
            (State.STARTING, self._settings.deadline_s),
            (State.UNLOADING, _UNLOAD_S),
        ):
            for worker in self._supervisor.among(state):
                busy = True
                if now - worker.since > limit:
                    self._log.write("warning", "worker hangs", worker_pid=worker.pid)
                    worker.process.kill()
        if busy:
            self._ran_at = now
            alarm = min(alarm, now + _LOOK_S)
        elif (
            not self._supervisor.among(State.SPARE) and self._staff.false_starts < MAX_FALSE_STARTS
        ):
            if now - self._ran_at >= _TOP_UP_S:
                self._prepare(1, now)
                alarm = min(alarm, now + _LOOK_S)
            else:
                alarm = min(alarm, self._ran_at + _TOP_UP_S)
        # Forbearing, deadlines that are past would call for a look at once, again and again.
        self._alarm = max(alarm, now + (0.05 if now < self._forbearing else 0.001))

    def _end_hung(self, job: Job, index: int, now: float) -> None:
        worker = self._staff.crew(job).workers[index]
        how = f"did not answer for {self._settings.deadline_s:g} s and was ended"
        loss = Loss("deadline", how, worker.pid, *worker.read_crumb())
        self._log.write("warning", "worker hangs", job=job.name, worker_pid=worker.pid)
        self._carry_out(job, job.worker_lost(index, loss, now))


def machine_memory() -> int:
    """Bytes of main memory, or of this control group if that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return total


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _default_deadline() -> float:
    text = os.environ.get("GEDANKEN_DEADLINE_S", "")
    try:
        return _positive(text) if text else DEADLINE_S
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"GEDANKEN_DEADLINE_S: {error}") from None


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"seconds above 0 and below 1 000 000, not {text!r}")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of the process; gives its exit status."""
    parser = argparse.ArgumentParser(prog="runtime.coordinator", description=__doc__)
    parser.add_argument("--dir", type=Path, help="private directory (default: a new one)")
    parser.add_argument("--log-level", choices=LEVELS, default="warning")
    parser.add_argument("--deadline", type=_positive, metavar="SECONDS", help="for one answer")
    parser.add_argument(
        "--worker-module",
        default=WORKER_MODULE,
        metavar="MODULE",
        help="what a worker process runs (default: %(default)s)",
    )
    parser.add_argument("--owned", action="store_true", help="end when standard input closes")
    options = parser.parse_args(arguments)
    log = Log("coordinator", options.log_level)
    # From the first moment: who starts a coordinator may end it at once.
    signals, wake = socket.socketpair()
    signals.setblocking(False)
    wake.setblocking(False)
    asked_to_stop = _watch_signals(wake)
    try:
        deadline = options.deadline or _default_deadline()
        for swept in private.sweep():
            log.write("info", "swept", directory=str(swept))
        settings = Settings(usable_cores(), machine_memory(), deadline)
        with private.held_directory(options.dir) as directory:
            coordinator = Coordinator(
                directory, settings, log, options.log_level, options.worker_module
            )
            asked_to_stop.append(coordinator)
            try:
                private.write_card(directory)
                print(f"ready {private.endpoint_of(directory, private.CLIENTS)}", flush=True)
                _leave_standard_output()
                coordinator.serve(signals, sys.stdin.fileno() if options.owned else None)
            finally:
                coordinator.close()
    except UsageError as error:
        print(f"{error}\n{error.hint}".rstrip(), file=sys.stderr)
        return 2
    return 0


def _watch_signals(wake: socket.socket) -> list[Coordinator]:
    """SIGTERM and SIGINT stop the coordinators in the list that is given back, SIGCHLD wakes."""
    stopped: list[Coordinator] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if not stopped:
            raise SystemExit(0)
        for coordinator in stopped:
            coordinator.stop()

    def nothing(number: int, frame: FrameType | None) -> None:
        """The wake-up descriptor says it all."""

    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, nothing)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopped


def _leave_standard_output() -> None:
    """Who started us has read its line; nothing may block or fail on that pipe later."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())

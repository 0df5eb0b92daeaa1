"""Runs scripts in the sandbox as agents' code runs: rewritten by the front end, on a deep stack."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from kernel_env import VMS, Kernel

from workers.rewrite import Shapes, rewrite_chunk
from workers.syntax import parse, to_bytes_text

MODULES = (
    "buffer", "random", "meter", "values", "order", "pattern", "format", "strings", "tables",
    "operators",
)  # fmt: skip
STACK = 64 << 20
"""As the worker's thread; recursion in Lua may need it."""

_DRIVER = """
local sandbox, guard = deps.sandbox, deps.guard
return {
  run = function(text, name, fuel, self)
    local env = sandbox.environment({random = deps.rng.random, param = sandbox.readonly({rate = 0.5}, "param")})
    local chunk, why = load(text, name, "t", env)
    if not chunk then return "does not compile: " .. why end
    deps.rng.at(1, 1)
    deps.rng.arm(1)
    sandbox.rt.Q.n = fuel
    local ok, e = pcall(function()
      local value = chunk(sandbox.rt)
      local step, functions = sandbox.own(env, "step"), {}
      for _, f in pairs(sandbox.handlers(env)) do functions[#functions + 1] = f end
      functions[#functions + 1] = step
      sandbox.seal(env)
      if step then
        local watch = guard.watch(env, functions)
        value = step({id = 1, type = "agent"})
        local changed = watch.changed()
        if changed then error(changed, 0) end
      end
      return sandbox.lib.tostring(value)
    end)
    sandbox.reset()
    if ok then return "ok: " .. e end
    if e == sandbox.OUT_OF_FUEL then return "error: " .. e.message end
    if type(e) == "table" then return "error: <table>" end
    return "error: " .. sandbox.lib.tostring(e)
  end,
  left = function() return sandbox.rt.Q.n end,
}
"""  # noqa: E501

T = TypeVar("T")


def on_deep_stack(f: Callable[[], T]) -> T:
    """The result of ``f`` run in a thread with a stack like the worker's."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(f())
        except BaseException as error:  # carried over to the caller's thread
            done.set_exception(error)

    previous = threading.stack_size(STACK)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(previous)
    thread.join()
    return done.result()


def rewritten(source: str) -> bytes:
    """What the VM runs for a script; nothing is diagnosed."""
    return rewrite_chunk(parse(to_bytes_text(source)), Shapes()).encode()


class Sandbox:
    """A Lua state with the sandbox in it."""

    def __init__(self, vm: str, max_memory: int = 0) -> None:
        self.kernel = Kernel(vm, *MODULES, max_memory=max_memory)
        self.kernel.function("deps.rng = deps.random.new(deps)")()
        for name in ("maths", "base", "sandbox", "guard"):
            self.kernel.load(name)
        self._driver = self.kernel.function(_DRIVER)()

    def run(self, source: str, fuel: int = 1_000_000, name: str = "agents/agent.lua") -> str:
        """``ok: <what the script, or else its step, returned>`` or ``error: <message>``."""
        text = rewritten(source)
        run = self._driver[b"run"]
        try:
            outcome = on_deep_stack(lambda: run(text, f"@{name}".encode(), fuel))
        except self.kernel.memory_error:
            # Even reporting it needed memory.
            return "error: not enough memory"
        return outcome.decode("latin-1")

    def fuel_left(self) -> float:
        return self._driver[b"left"]()


def on_both(source: str, fuel: int = 1_000_000) -> str:
    """The outcome of a script, which must be the same on every VM, fuel included."""
    outcomes = {}
    for vm in VMS:
        sandbox = Sandbox(vm)
        outcomes[vm] = (sandbox.run(source, fuel), sandbox.fuel_left())
    assert outcomes["luajit"] == outcomes["lua52"]
    return outcomes["luajit"][0]

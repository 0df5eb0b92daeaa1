"""Loads files of the kernel into a Lua state, for tests that need no host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lupa.lua52
import lupa.luajit21

KERNEL = Path(__file__).parents[1] / "workers" / "kernel"
VMS = ("luajit", "lua52")

_MODULES = {"luajit": lupa.luajit21, "lua52": lupa.lua52}
_ERRORS = {"luajit": lupa.luajit21.LuaError, "lua52": lupa.lua52.LuaError}
_DEPS = {
    "luajit": b'{vm = "luajit", ffi = require("ffi"), bit = require("bit"), fuel = {n = 1000000}}',
    "lua52": b'{vm = "lua52", bit32 = bit32, fuel = {n = 1000000}}',
}
_LOAD = b"""
function(source, name, deps)
  return assert(load(source, "@kernel/" .. name .. ".lua", "t"))(deps)
end
"""


class Kernel:
    """A Lua state with some kernel modules; ``deps`` is the table that they were given.

    Modules see those loaded before them in ``deps`` under their names, as in the worker.
    """

    def __init__(self, vm: str, *names: str, max_memory: int = 0) -> None:
        self.vm = vm
        self.error = _ERRORS[vm]
        self.memory_error = _MODULES[vm].LuaMemoryError
        self.lua = _MODULES[vm].LuaRuntime(
            encoding=None, register_eval=False, max_memory=max_memory
        )
        self.deps = self.lua.eval(_DEPS[vm])
        self._compiled: dict[str, Any] = {}
        self._load = self.lua.eval(_LOAD)
        for name in names:
            self.load(name)

    def load(self, name: str) -> None:
        source = (KERNEL / f"{name}.lua").read_bytes()
        self.deps[name.encode()] = self._load(source, name.encode(), self.deps)

    def __getitem__(self, name: str) -> Any:
        return self.deps[name.encode()]

    def function(self, text: str) -> Any:
        """Lua code as a function of ``...``; it sees the modules in the table ``deps``."""
        if text not in self._compiled:
            source = f"return function(deps) return function(...) {text} end end"
            self._compiled[text] = self.lua.execute(source.encode())(self.deps)
        return self._compiled[text]


def load_kernel(vm: str, *names: str) -> Kernel:
    return Kernel(vm, *names)

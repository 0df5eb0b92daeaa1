"""The only file that imports lupa: one Lua state, with the kernel in it.

``lupa`` alone picks another VM and another ``LuaError`` than the one wanted, so VMs are imported by
name. Strings cross as bytes, and no Python object ever enters the state: an error value was enough
to reach ``os`` from a script. The kernel's files are Lua chunks that take one table of what they
depend on and return one table.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any, Final

VMS: Final = ("luajit21", "lua52")
"""Virtual machines, the preferred first; macOS wheels of lupa have no LuaJIT."""

KERNEL: Final = Path(__file__).parent / "kernel"

_BOOT_LUA: Final = b"""
return function(vm, sources, crumb_address)
  local load, error, require, jit, ipairs = load, error, require, jit, ipairs
  local D = {vm = vm}
  if vm == "luajit" then
    D.ffi, D.bit = require("ffi"), require("bit")
    jit.opt.start("maxtrace=8000", "maxrecord=16000", "maxirconst=2000", "maxside=400",
      "maxmcode=65536", "sizemcode=256")
    if crumb_address ~= 0 then D.crumb = D.ffi.cast("int32_t *", crumb_address) end
  else
    D.bit32 = bit32
  end
  local function module(name)
    local source = sources[name]
    if not source then error("the kernel has no file " .. name .. ".lua") end
    local chunk, why = load(source, "@kernel/" .. name .. ".lua", "t")
    if not chunk then error(why) end
    return chunk(D)
  end
  D.fuel = {n = 1000000}
  D.buffer = module("buffer")
  D.codec = module("codec")
  D.exact = module("exact")
  D.aggregate = module("aggregate")
  D.random_module = module("random")
  D.rng = D.random_module.new(D)
  D.random = D.rng
  for _, name in ipairs({"meter", "values", "order", "operators", "base", "pattern", "format",
    "strings", "tables", "maths", "sandbox", "guard", "text"}) do
    D[name] = module(name)
  end
  -- the random streams serve agents, so they count as agents do and charge as the library does
  D.length, D.charge = D.sandbox.rt.L, D.sandbox.charge
  D.compile = module("compile")
  D.plan = module("plan")
  D.roster = module("roster")
  D.batches = module("batches")
  D.transit = module("transit")
  D.mail = module("mail")
  D.api = module("api")
  D.expressions = module("expressions")
  for _, name in ipairs({"state", "query", "faults", "changes", "published", "placing",
    "replica", "environment", "moves", "activation", "asking", "sequential", "space",
    "cells", "grid", "rows", "continuous", "stencil", "layer_views", "layers",
    "generators", "network", "loading", "population", "turns", "answers"}) do
    D[name] = module(name)
  end
  return module("main")
end
"""


_LARGE: Final = 1 << 16
"""Bytes of an argument above which the state's room for it is checked first."""


class LuaFault(Exception):
    """The Lua state refused or failed outside the kernel's own error handling."""


@cache
def sources() -> dict[str, bytes]:
    """The kernel's files by name."""
    return {path.stem: path.read_bytes() for path in sorted(KERNEL.glob("*.lua"))}


@cache
def available_vms() -> tuple[str, ...]:
    """The VMs that this machine's lupa has, the preferred first."""
    found = []
    for vm in VMS:
        try:
            importlib.import_module(f"lupa.{vm}")
        except ImportError:
            continue
        found.append(vm)
    return tuple(found)


def choose_vm(wanted: str) -> str:
    """``wanted``, or the preferred VM when it is empty.

    Raises:
        LuaFault: the machine does not have it.
    """
    vms = available_vms()
    if not wanted and vms:
        return vms[0]
    if wanted not in vms:
        raise LuaFault(f"the VM {wanted!r} is not on this machine; it has {', '.join(vms)}")
    return wanted


def _no_attributes(*_: object) -> Any:
    raise AttributeError("Python objects are not reachable from Lua")


def new_state(vm: str, max_memory: int) -> Any:
    """A Lua state without Python in it. ``max_memory`` in bytes; 0 is no limit."""
    module = importlib.import_module(f"lupa.{vm}")
    return module.LuaRuntime(
        encoding=None,
        register_eval=False,
        register_builtins=False,
        unpack_returned_tuples=True,
        attribute_handlers=(_no_attributes, _no_attributes),
        max_memory=max_memory,
    )


def lua_errors(vm: str) -> tuple[type[Exception], ...]:
    """The exceptions that calls into a state of this VM raise."""
    module = importlib.import_module(f"lupa.{vm}")
    return (module.LuaError, module.LuaSyntaxError, module.LuaMemoryError)


class Kernel:
    """One Lua state with the kernel loaded. All methods run in the thread that hosts the state.

    ``call(name, *args)`` calls a function of ``main.lua`` with bytes, numbers and booleans.
    """

    def __init__(self, vm: str = "", max_memory: int = 0, crumb_address: int = 0) -> None:
        self.vm = choose_vm(vm)
        self._lua = new_state(self.vm, max_memory)
        self._max_memory = max_memory
        self.errors = lua_errors(self.vm)
        boot = self._lua.execute(_BOOT_LUA)
        texts = self._lua.table_from({name.encode(): text for name, text in sources().items()})
        kind = b"luajit" if self.vm.startswith("luajit") else b"lua52"
        self._functions = boot(kind, texts, crumb_address)

    def call(self, name: str, *args: bytes | int | float | bool) -> Any:
        """The function's result: bytes, a number, or a tuple of these."""
        large = sum(len(a) for a in args if type(a) is bytes and len(a) > _LARGE)
        if large:
            self._require_room(large)
        return self._functions[name.encode()](*args)

    def _require_room(self, size: int) -> None:
        """A push over the limit would not raise but end the process: lupa pushes unprotected."""
        if not self._max_memory:
            return
        for collected in (False, True):
            if self._lua.get_memory_used() + 2 * size <= self._max_memory:
                return
            if not collected:
                self._lua.gccollect()
        memory_error = self.errors[2]
        raise memory_error(f"not enough memory for {size} bytes that came in")

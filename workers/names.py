"""The names that agents' scripts and expressions may use, and what to write instead of others.

``tests/test_frontend_names.py`` holds these lists against the sandbox and the kernel's API.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

RANDOM: Final = frozenset({"random", "choice", "shuffle", "normal", "exponential", "poisson"})

CORE: Final = (
    frozenset(
        {"send", "message", "broadcast", "after", "spawn", "remove", "tick", "param", "record"}
        | {"log", "print", "agents", "alive", "on"}
    )
    | RANDOM
)
"""Global names that every agent's script has."""

FEATURE_NAMES: Final[dict[str, frozenset[str]]] = {
    "space": frozenset(
        {"position", "distance", "offset", "move_to", "move_by", "neighbors", "neighbors_of"}
        | {"count_near", "nearest", "space"}
    ),
    "grid": frozenset({"at", "count_at", "empty_cells", "random_empty"}),
    "network": frozenset({"links", "link", "degree", "link_to", "unlink"}),
    "directed": frozenset({"links_in"}),
    "layers": frozenset({"layer"}),
    "published": frozenset({"look"}),
    "sequential": frozenset({"ask"}),
    "script": frozenset({"env"}),
}
"""What a model may declare (a field of ``Features``) -> names that agents' scripts then have."""

API: Final = CORE.union(*FEATURE_NAMES.values())
"""All names that the kernel gives to agents' scripts; a script may not define those it has."""

TAKES_ID: Final = frozenset(
    {"send", "ask", "position", "distance", "offset", "alive", "look", "links", "links_in", "link"}
    | {"degree", "link_to", "unlink"}
)
"""API functions whose first argument is an agent's id."""

MOVES: Final = frozenset({"move_to", "move_by"})

PLACE_FIELDS: Final = frozenset({"x", "y", "z", "pos", "position", "loc", "location", "coords"})
"""Fields in which other frameworks keep where an agent is."""

VALUES: Final = frozenset({"param", "env", "on", "query", "space", "layer"})
"""API names that are no functions."""

ENVIRONMENT_LACKS: Final[dict[str, tuple[str, str]]] = {
    "self": (
        "self is an agent's: what the environment keeps is in env",
        "write function step(env), and env.field",
    ),
    "env": (
        "in environment.lua env is a parameter, not a global",
        "write function step(env), function on.kind(env, msg, from), or pass env to the helper",
    ),
    "remove": (
        "remove is an agent's own: the environment removes nobody",
        'send(id, "leave"), and let function on.leave(self) of the agent call remove()',
    ),
    "message": (
        "message is an agent's own",
        "a handler of the environment has the parameters (env, msg, from)",
    ),
    "move_to": (
        "move_to is an agent's own: the environment moves nobody",
        'send(id, "go", {x = x, y = y}), and let the agent call move_to(msg.x, msg.y)',
    ),
    "move_by": (
        "move_by is an agent's own: the environment moves nobody",
        'send(id, "go", {x = x, y = y}), and let the agent call move_to(msg.x, msg.y)',
    ),
    "neighbors": (
        "neighbors counts from an agent's own place, and the environment has none",
        "write neighbors_of(x, y, r); local x, y = position(id) is an agent's place",
    ),
    "count_near": (
        "count_near counts from an agent's own place, and the environment has none",
        "write #neighbors_of(x, y, r), or #neighbors_of(x, y, r, type)",
    ),
    "nearest": (
        "nearest looks from an agent's own place, and the environment has none",
        "write neighbors_of(x, y, r, type), and compare position(id)",
    ),
    "distance": (
        "distance measures from an agent's own place, and the environment has none",
        "compute it from position(id)",
    ),
    "offset": (
        "offset measures from an agent's own place, and the environment has none",
        "compute it from position(id)",
    ),
    "link_to": (
        "link_to is an agent's own: agents make their links themselves",
        'send(id, "meet", {other = other}), and let the agent call link_to(msg.other)',
    ),
    "unlink": (
        "unlink is an agent's own: agents cut their links themselves",
        'send(id, "part", {other = other}), and let the agent call unlink(msg.other)',
    ),
    "ask": (
        "ask is an agent's own: the environment answers, and asks nobody",
        "read published fields with look(id, field), or send a message",
    ),
}
"""Names of agents' scripts that environment.lua has not: (why, what to write)."""

ENVIRONMENT_API: Final = (API - ENVIRONMENT_LACKS.keys()) | {"query"}

LAYER_READS: Final = frozenset({"sum", "mean", "min", "max", "count"})
LAYER_WRITES: Final = frozenset({"add", "set"})
LAYER_WHOLE: Final = frozenset({"fill", "diffuse", "decay", "map"})
"""Methods of a layer; the last ones are the environment's, as is ``around``."""
LAYER_METHODS: Final = LAYER_READS | LAYER_WRITES | LAYER_WHOLE | {"around"}

BASE: Final = frozenset(
    {"assert", "error", "ipairs", "next", "pairs", "pcall", "xpcall", "rawequal", "rawget"}
    | {"rawset", "rawlen", "select", "setmetatable", "getmetatable", "tonumber", "tostring"}
    | {"type", "unpack"}
)

LIBRARIES: Final[dict[str, frozenset[str]]] = {
    "string": frozenset(
        {"byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep"}
        | {"reverse", "sub", "upper"}
    ),
    "table": frozenset({"concat", "insert", "remove", "sort", "unpack", "pack"}),
    "math": frozenset(
        {"abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "floor"}
        | {"fmod", "frexp", "huge", "ldexp", "log", "log10", "max", "min", "modf", "pi", "pow"}
        | {"rad", "random", "sin", "sinh", "sqrt", "tan", "tanh"}
    ),
}

LIBRARY: Final = BASE | frozenset(LIBRARIES)
GLOBALS: Final = API | LIBRARY

MUTATORS: Final = frozenset(
    {"table.insert", "table.remove", "table.sort", "rawset", "setmetatable", "shuffle"}
)
"""Functions that change their first argument."""

HOOKS: Final = frozenset({"init", "step"})
"""Functions that the runtime calls by name."""

AGGREGATES: Final = frozenset(
    {"count", "sum", "share", "mean", "min", "max", "var", "sd", "quantile", "gini", "mail"}
)

EXPRESSION_NAMES: Final = frozenset({"tonumber", "tostring", "type", "math", "string"})
"""Library names that an expression may use besides parameters, aggregates and ``tick``."""

KEYWORDS: Final = frozenset(
    {"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if"}
    | {"in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"}
)

NO_HOST: Final = "agents reach nothing outside the simulation"

FOREIGN_GLOBALS: Final[dict[str, tuple[str, str]]] = {
    "null": ("null is not Lua", "write nil"),
    "None": ("None is not Lua", "write nil"),
    "NULL": ("NULL is not Lua", "write nil"),
    "undefined": ("undefined is not Lua", "write nil"),
    "nullptr": ("nullptr is not Lua", "write nil"),
    "True": ("True is not Lua", "write true"),
    "False": ("False is not Lua", "write false"),
    "TRUE": ("TRUE is not Lua", "write true"),
    "FALSE": ("FALSE is not Lua", "write false"),
    "self": (
        "self exists only inside a function that has it as a parameter",
        "give the function a first parameter: function step(self), "
        "function on.kind(self, msg, from), or helper(self)",
    ),
    "this": ("this is not Lua", "the agent is the handler's first parameter: self"),
    "msg": (
        "msg exists only inside a handler",
        "write function on.kind(self, msg, from), or pass msg to the helper",
    ),
    "from": (
        "from exists only inside a handler",
        "write function on.kind(self, msg, from), or pass from to the helper",
    ),
    "os": (
        f"there is no os library: {NO_HOST}",
        "for time write tick(), for chance random(), for text log(...)",
    ),
    "io": (f"there is no io library: {NO_HOST}", "for output write log(...) or record(name, x)"),
    "debug": (f"there is no debug library: {NO_HOST}", "for output write log(...)"),
    "package": ("there are no packages", "put helper functions into the agent's own file"),
    "require": (
        "require is not available: every agent type is one file",
        "put helper functions into the agent's own file",
    ),
    "import": ("import is not Lua", "put helper functions into the agent's own file"),
    "dofile": ("dofile is not available", "put helper functions into the agent's own file"),
    "loadfile": ("loadfile is not available", "put helper functions into the agent's own file"),
    "load": ("load is not available: code is fixed when the model is checked", "write a function"),
    "loadstring": (
        "loadstring is not available: code is fixed when the model is checked",
        "write a function",
    ),
    "coroutine": (
        "there are no coroutines: an agent keeps its state in self between ticks",
        'keep where you are in a field (self.phase = "wait") and go on in step or a handler',
    ),
    "getfenv": ("getfenv is not available", "use locals and parameters"),
    "setfenv": ("setfenv is not available", "use locals and parameters"),
    "_G": ("_G is not available", "use locals, self and param"),
    "_ENV": ("_ENV is not available", "use locals, self and param"),
    "module": ("module is not available", "put helper functions into the agent's own file"),
    "collectgarbage": ("collectgarbage is not available", "remove the call"),
    "newproxy": ("newproxy is not available", "use a table"),
    "bit": ("there is no bit library", "write the operators: a & b, a | b, a ~ b, a << n, a >> n"),
    "bit32": (
        "there is no bit32 library",
        "write the operators: a & b, a | b, a ~ b, a << n, a >> n",
    ),
    "utf8": ("there is no utf8 library", "string.* counts bytes"),
    "jit": (f"there is no jit library: {NO_HOST}", "remove the call"),
    "ffi": (f"there is no ffi library: {NO_HOST}", "use tables"),
    "world": (
        "there is no world",
        "what is common is in env, space and layer; agents act through send, spawn and remove",
    ),
    "environment": (
        "the environment is no global",
        'read env.field or env.name(...), and tell it: send("environment", kind, body)',
    ),
    "move": ("there is no move", "write move_to(x, y) or move_by(dx, dy)"),
    "place": (
        "there is no place to call: the engine places agents before init",
        'write place = "random" in model.toml; from then on move_to(x, y)',
    ),
    "len": ("len is not Lua", "write #list"),
    "range": ("range is not Lua", "write for i = 1, n do ... end"),
    "str": ("str is not Lua", "write tostring(x)"),
    "int": ("int is not Lua", "write math.floor(x)"),
    "float": ("float is not Lua", "write tonumber(x)"),
    "abs": ("abs is in the math library", "write math.abs(x)"),
    "floor": ("floor is in the math library", "write math.floor(x)"),
    "ceil": ("ceil is in the math library", "write math.ceil(x)"),
    "sqrt": ("sqrt is in the math library", "write math.sqrt(x)"),
    "max": ("max is in the math library", "write math.max(a, b)"),
    "min": ("min is in the math library", "write math.min(a, b)"),
    "exp": ("exp is in the math library", "write math.exp(x)"),
    "sin": ("sin is in the math library", "write math.sin(x)"),
    "cos": ("cos is in the math library", "write math.cos(x)"),
    "pi": ("pi is in the math library", "write math.pi"),
    "clamp": ("there is no clamp", "write math.max(low, math.min(high, x))"),
    "append": ("append is not Lua", "write table.insert(list, x)"),
    "sorted": ("sorted is not Lua", "write table.sort(list)"),
    "enumerate": ("enumerate is not Lua", "write for i, x in ipairs(list) do ... end"),
    "lambda": ("lambda is not Lua", "write function(x) return ... end"),
    "round": ("there is no round", "write math.floor(x + 0.5)"),
    "Math": ("Math is not Lua", "write math.floor, math.sqrt, random(...)"),
    "console": ("console is not Lua", "write log(...)"),
    "printf": ("printf is not Lua", "write log(string.format(...))"),
    "die": ("there is no die", "write remove()"),
    "kill": ("there is no kill: an agent removes itself", "write remove(), or send a message"),
    "time": ("there is no time", "write tick()"),
    "now": ("there is no now", "write tick()"),
    "rand": ("there is no rand", "write random(), random(n) or random(a, b)"),
    "uniform": ("there is no uniform", "write a + (b - a) * random()"),
    "gauss": ("there is no gauss", "write normal(mean, sd)"),
    "reply": ("there is no reply", "write send(from, kind, {...})"),
    "emit": ("there is no emit", "write send(to, kind, {...}) or broadcast(type, kind, {...})"),
    "create": ("there is no create", "write spawn(type, {field = value})"),
    "stop": ("there is no stop", 'write in model.toml: [stop], and below it when = "..."'),
    "one_of": ("there is no one_of", "write choice(list), which is nil for an empty list"),
    "is_empty": ("there is no is_empty", "write count_at(x, y) == 0"),
    "eat": (
        "there is no eat",
        "layer.name:add(x, y, -amount) takes from a cell; or send a message",
    ),
    "add_link": ("there is no add_link", "write link_to(id)"),
    "add_edge": ("there is no add_edge", "write link_to(id)"),
    "connect": ("there is no connect", "write link_to(id)"),
    "remove_link": ("there is no remove_link", "write unlink(id)"),
    "remove_edge": ("there is no remove_edge", "write unlink(id)"),
    "disconnect": ("there is no disconnect", "write unlink(id)"),
    "grid": ("there is no grid", "write space.width, neighbors(r), at(x, y), layer.name(x, y)"),
    "width": ("there is no width", "write space.width"),
    "height": ("there is no height", "write space.height"),
    "params": ("there is no params", "write param.name"),
    "parameters": ("there is no parameters", "write param.name"),
}
"""Global names of other languages and other hosts: (why not, what to write)."""

FOREIGN_MEMBERS: Final[dict[str, tuple[str, str]]] = {
    "math.randomseed": (
        "math.randomseed is refused: the simulation's seed gives every agent its own stream",
        "remove the call; random() and math.random() are reproducible as they are",
    ),
    "math.round": ("there is no math.round", "write math.floor(x + 0.5)"),
    "math.tointeger": ("there is no math.tointeger: all numbers are doubles", "write math.floor"),
    "math.type": ("there is no math.type: all numbers are doubles", "write x == math.floor(x)"),
    "math.maxinteger": ("all numbers are doubles", "write 2^53"),
    "math.mininteger": ("all numbers are doubles", "write -2^53"),
    "math.ult": ("all numbers are doubles", "write a < b"),
    "math.mod": ("there is no math.mod", "write a % b"),
    "math.clamp": ("there is no math.clamp", "write math.max(lo, math.min(hi, x))"),
    "math.sign": ("there is no math.sign", "write x > 0 and 1 or x < 0 and -1 or 0"),
    "string.trim": ("there is no string.trim", 'write s:match("^%s*(.-)%s*$")'),
    "string.split": (
        "there is no string.split",
        'write for part in s:gmatch("[^,]+") do ... end',
    ),
    "string.startswith": ("there is no string.startswith", "write s:sub(1, #prefix) == prefix"),
    "string.endswith": ("there is no string.endswith", "write s:sub(-#suffix) == suffix"),
    "string.contains": ("there is no string.contains", "write s:find(part, 1, true) ~= nil"),
    "string.replace": ("there is no string.replace", "write s:gsub(from, to)"),
    "string.join": ("there is no string.join", "write table.concat(list, separator)"),
    "string.length": ("there is no string.length", "write #s"),
    "string.dump": ("string.dump is not available", "remove the call"),
    "string.pack": ("string.pack is not available", "send values as they are"),
    "string.unpack": ("string.unpack is not available", "send values as they are"),
    "string.packsize": ("string.packsize is not available", "send values as they are"),
    "table.getn": ("there is no table.getn", "write #t"),
    "table.maxn": ("there is no table.maxn", "write #t"),
    "table.setn": ("there is no table.setn", "remove the call"),
    "table.foreach": ("there is no table.foreach", "write for k, v in pairs(t) do ... end"),
    "table.foreachi": ("there is no table.foreachi", "write for i, v in ipairs(t) do ... end"),
    "table.push": ("there is no table.push", "write t[#t + 1] = x"),
    "table.append": ("there is no table.append", "write t[#t + 1] = x"),
    "table.pop": ("there is no table.pop", "write table.remove(t)"),
    "table.size": ("there is no table.size", "write #t, or count in a loop over pairs(t)"),
    "table.length": ("there is no table.length", "write #t"),
    "table.contains": ("there is no table.contains", "loop, or keep a set: seen[x] = true"),
    "table.copy": ("there is no table.copy", "copy in a loop over pairs(t)"),
    "table.clear": ("there is no table.clear", "assign a new table: t = {}"),
    "table.new": ("there is no table.new", "write {}"),
    "table.move": ("there is no table.move", "copy in a loop"),
    "table.shuffle": ("there is no table.shuffle", "write shuffle(t)"),
}

FOREIGN_FUNCTIONS: Final[dict[str, str]] = {
    "update": "step", "tick": "step", "on_tick": "step", "on_step": "step", "act": "step",
    "run": "step", "main": "step", "loop": "step", "think": "step", "behave": "step",
    "setup": "init", "new": "init", "create": "init", "start": "init", "__init__": "init",
    "on_init": "init", "on_create": "init", "initialize": "init", "initialise": "init",
    "on_start": "init", "on_spawn": "init",
}  # fmt: skip
"""Names that other frameworks call; here they would never run."""


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like ``name``, if one is like it at all."""
    pool = sorted(candidates)
    folded = {candidate.lower(): candidate for candidate in reversed(pool)}
    if name.lower() in folded and folded[name.lower()] != name:
        return folded[name.lower()]
    found = difflib.get_close_matches(name, pool, n=1, cutoff=0.7 if len(name) > 3 else 0.6)
    return found[0] if found else None


def listing(names: Iterable[str], most: int = 12) -> str:
    """Names for a message: ``a, b, c`` and how many more."""
    pool = sorted(names)
    if not pool:
        return "none"
    more = f" and {len(pool) - most} more" if len(pool) > most else ""
    return ", ".join(pool[:most]) + more

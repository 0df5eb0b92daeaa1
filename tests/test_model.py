"""model.toml and a caller's parameters: what is read, and what is refused, with its line."""

from __future__ import annotations

import time

import pytest
from frontend_env import marked

from runtime.model import apply_parameters, read_model
from runtime.protocol import Diagnostic, ExpressionSpec, ModelSpec, ParameterSpec, Scalar, TypeSpec
from runtime.toml_findings import key_lines

FULL = """\
name = "market"
description = "Traders"
activation = "synchronous"
fuel = 5_000
memory_mb = 64
on_error = "pause"

[parameters]
traders = { default = 10, min = 2, max = 1_000, description = "how many" }
shout = 0.5
rule = { default = "a", choices = ["a", "b"] }
open = true

[agents.trader]
count = "traders"
state = { side = "i % 2", cash = 100, idle = true }

[agents.bank]
count = 1
name = "bank"

[metrics]
cash = "sum(trader, self.cash)"
rich = { value = "gini(trader, self.cash)", every = 5 }

[stop]
when = "cash == 0"

[invariants]
money = "cash == 100 * traders"
"""
SCRIPTS = {"agents/trader.lua": "-- trader", "agents/bank.lua": "-- bank"}
SMALL = 'name = "m"\n[agents.a]\ncount = 1\n'


def small(toml: str, **scripts: str) -> tuple[ModelSpec | None, list[Diagnostic]]:
    files = {"model.toml": toml, "agents/a.lua": ""}
    return read_model(
        "m", {**files, **{f"agents/{name}.lua": text for name, text in scripts.items()}}
    )


def test_a_model_is_read_into_typed_records() -> None:
    model, found = read_model("folder", {"model.toml": FULL, **SCRIPTS, "README.md": "x"})
    assert found == []
    assert model == ModelSpec(
        name="market",
        description="Traders",
        parameters=(
            ParameterSpec("traders", 10, 2.0, 1000.0, description="how many", line=9),
            ParameterSpec("shout", 0.5, line=10),
            ParameterSpec("rule", "a", choices=("a", "b"), line=11),
            ParameterSpec("open", True, line=12),
        ),
        types=(
            TypeSpec(
                "trader",
                ExpressionSpec("count", "traders", 15),
                (
                    ExpressionSpec("side", "i % 2", 16),
                    ExpressionSpec("cash", "100", 16),
                    ExpressionSpec("idle", "true", 16),
                ),
                file="agents/trader.lua",
                source="-- trader",
                line=14,
            ),
            TypeSpec(
                "bank",
                ExpressionSpec("count", "1", 19),
                alias="bank",
                file="agents/bank.lua",
                source="-- bank",
                line=18,
            ),
        ),
        metrics=(
            ExpressionSpec("cash", "sum(trader, self.cash)", 23),
            ExpressionSpec("rich", "gini(trader, self.cash)", 24, 5),
        ),
        invariants=(ExpressionSpec("money", "cash == 100 * traders", 30),),
        stop=ExpressionSpec("stop", "cash == 0", 27),
        fuel=5000,
        memory_mb=64,
        toml=FULL,
    )


def test_a_model_without_a_name_has_its_folders() -> None:
    model, found = small("[agents.a]\ncount = 1\n")
    assert found == []
    assert model is not None
    assert model.name == "m"
    assert (model.fuel, model.memory_mb, model.on_error) == (1_000_000, 0, "pause")


def test_a_count_that_is_a_whole_float_is_a_whole_number() -> None:
    model, _ = small("[agents.a]\ncount = 1e3\n")
    assert model is not None
    assert model.types[0].count.text == "1000"


@pytest.mark.parametrize(
    ("toml", "line", "text", "reason", "cure"),
    [
        # syntax
        (
            "[agents.a]\ncount = traders\n",
            2,
            "count = traders",
            "Invalid value",
            'quotes: "traders"',
        ),
        ("[agents.a]\ncount = True\n", 2, "count = True", "Invalid value", "TOML writes true"),
        ("[agents.a\ncount = 1\n", 1, "[agents.a", "not valid TOML", ""),
        ("[agents.a]\ncount = 1\n[agents.a]\n", 3, "[agents.a]", "twice", "once"),
        ("[agents.a]\ncount = 1\ncount = 2\n", 3, "count = 2", "overwrite", "once"),
        # top level
        (SMALL.replace("name", "nam"), 1, "nam", "unknown key 'nam'", "did you mean name?"),
        (SMALL + "[agent.b]\ncount = 1\n", 4, "agent", "unknown key 'agent'", "agents?"),
        (SMALL + "[settings]\nfuel = 3\n", 4, "settings", "there is no [settings]", "at the top"),
        (SMALL + "[experiment]\nruns = 3\n", 4, "experiment", "later version", "remove it"),
        ("name = 3\n[agents.a]\ncount = 1\n", 1, "name", "name must be a text, not a number", ""),
        ('name = "a b"\n[agents.a]\ncount = 1\n', 1, "name", "'a b' cannot name a model", ""),
        ("fuel = 1.5\n" + SMALL, 1, "fuel", "fuel must be a whole number, 1000 or more", ""),
        ("fuel = 10\n" + SMALL, 1, "fuel", "1000 or more, not 10", ""),
        ("memory_mb = true\n" + SMALL, 1, "memory_mb", "a whole number, 16 or more, not true", ""),
        ('on_error = "quarantine"\n' + SMALL, 1, "on_error", "comes in a later version", "pause"),
        (
            'on_error = "stop"\n' + SMALL,
            1,
            "on_error",
            "must be a text this version knows",
            "pause",
        ),
        ('activation = "fast"\n' + SMALL, 1, "activation", "there is no activation", "synchronous"),
        (
            "metrics = 3\n" + SMALL,
            1,
            "metrics",
            "metrics must be a table, not a number",
            "[metrics]",
        ),
        # parameters
        (SMALL + "[parameters]\nx = { min = 1 }\n", 5, "x", "has no default", "add default"),
        (
            SMALL + "[parameters]\nx = [1]\n",
            5,
            "x",
            "a number, a text or a boolean, not a list",
            "",
        ),
        (SMALL + "[parameters]\nx = 2020-01-01\n", 5, "x", "not a date or time", ""),
        (SMALL + "[parameters]\nx = { default = 1, mim = 0 }\n", 5, "mim", "unknown key", "min?"),
        (
            SMALL + "[parameters]\nx = { default = 5, max = 3 }\n",
            5,
            "default",
            "the default of 'x' must be at most 3, not 5",
            "",
        ),
        (
            SMALL + "[parameters]\nx = { default = 5, min = 9, max = 3 }\n",
            5,
            "min",
            "min 9 is above max 3",
            "",
        ),
        (
            SMALL + '[parameters]\nx = { default = "a", min = 9 }\n',
            5,
            "min",
            "no meaning for a text",
            "",
        ),
        (
            SMALL + '[parameters]\nx = { default = 1, min = "a" }\n',
            5,
            "min",
            "must be a number",
            "",
        ),
        (SMALL + '[parameters]\nx = { default = "a", choices = [] }\n', 5, "choices", "a list", ""),
        (
            SMALL + '[parameters]\nx = { default = "a", choices = ["b"] }\n',
            5,
            "default",
            'must be one of "b", not "a"',
            "",
        ),
        (
            SMALL + '[parameters]\nx = { default = 1, choices = ["b"] }\n',
            5,
            "choices",
            'the choice "b" is a text, the default is a number',
            "",
        ),
        (SMALL + "[parameters]\nx = nan\n", 5, "x", "must be a finite number", ""),
        (SMALL + "[parameters]\nx = 9007199254740993\n", 5, "x", "at most 2^53", ""),
        (SMALL + "[parameters]\nend = 1\n", 5, "end", "is a word of Lua", "rename"),
        (SMALL + '[parameters]\n"a-b" = 1\n', 5, "a-b", "cannot name a parameter", "letters"),
        # agents
        ('name = "m"\n', 0, "", "the model has no agents", "[agents.person]"),
        ("[agents]\na = 3\n", 2, "a", "agents.a must be a table, not a number", "[agents.a]"),
        ("[agents.a]\n", 1, "a", "has no count", "count = 10"),
        ("[agents.a]\nname = 'x'\n", 1, "a", "has no count", "add count = 1"),
        ("[agents.b]\ncount = 1\n", 1, "b", "there is no file agents/b.lua", "agents/a.lua?"),
        ("[agents.a]\ncount = 1\ncolour = 3\n", 3, "colour", "unknown key 'colour'", "count"),
        ("[agents.a]\ncount = 1\nworker = 'x'\n", 3, "worker", "come later", ""),
        ("[agents.a]\ncount = -1\n", 2, "count", "0 or more, not -1", ""),
        ("[agents.a]\ncount = 1.5\n", 2, "count", "not 1.5", ""),
        ("[agents.a]\ncount = true\n", 2, "count", "not true", ""),
        ("[agents.a]\ncount = [1]\n", 2, "count", "an expression in quotes, not a list", ""),
        ("[agents.a]\ncount = 2\nname = 'x'\n", 2, "count", "one agent, not 2", "count = 1"),
        ("[agents.a]\ncount = 1\nname = ''\n", 3, "name", "cannot name an agent", ""),
        ("[agents.a]\ncount = 1\nname = 'environment'\n", 3, "name", "cannot name an agent", ""),
        (
            "[agents.a]\ncount = 1\nstate = 3\n",
            3,
            "state",
            "must be a table of fields",
            "state = {",
        ),
        ("[agents.a]\ncount = 1\nstate = { id = 3 }\n", 3, "id", "self.id is given", "rename"),
        (
            "[agents.a]\ncount = 1\n[agents.a.state]\nx = []\n",
            4,
            "x",
            "an expression in quotes",
            "",
        ),
        # metrics, stop, invariants
        (SMALL + "[metrics]\nx = { every = 2 }\n", 5, "x", "has no value", "add value"),
        (SMALL + "[metrics]\nx = { value = '1', every = 0 }\n", 5, "every", "1 or more, not 0", ""),
        (
            SMALL + "[metrics]\nx = { expr = '1' }\n",
            5,
            "expr",
            "unknown key 'expr'",
            "value, every",
        ),
        (SMALL + "[metrics]\nx = [1]\n", 5, "x", "an expression in quotes, not a list", ""),
        (SMALL + "[metrics]\n'a b' = '1'\n", 5, "a b", "cannot name a metric", ""),
        (SMALL + "[stop]\nif = '1'\n", 5, "if", "unknown key 'if' of [stop]", "when"),
        (SMALL + "[stop]\nwhen = []\n", 5, "when", "an expression in quotes", ""),
        (SMALL + "[invariants]\nx = { value = '1' }\n", 5, "x", "an expression in quotes", ""),
    ],
)
def test_what_is_wrong_in_model_toml_is_named_with_its_line(
    toml: str, line: int, text: str, reason: str, cure: str
) -> None:
    model, found = small(toml)
    assert model is None
    one = next(one for one in found if reason in one.message)
    assert (one.severity, one.file, one.line) == ("error", "model.toml", line)
    assert marked(one) == text
    assert cure in one.hint


def test_two_types_may_not_share_an_agents_name() -> None:
    toml = "[agents.a]\ncount = 1\nname = 'x'\n[agents.b]\ncount = 1\nname = 'x'\n"
    _, (one,) = small(toml, b="")
    assert (one.line, one.message) == (6, "the name 'x' is taken by type 'a'")


def test_a_script_that_no_type_declares_is_a_warning() -> None:
    model, (one,) = small(SMALL, ghost="")
    assert model is not None
    assert (one.severity, one.file) == ("warning", "agents/ghost.lua")
    assert "[agents.ghost]" in one.hint


def test_all_problems_come_at_once_sorted_by_line() -> None:
    toml = "[parameters]\nx = { default = 5, max = 3 }\n[agents.a]\ncoun = 1\n[stop]\nwen = '1'\n"
    _, found = small(toml)
    assert [one.line for one in found] == [2, 3, 4, 5, 6]


def test_a_missing_model_toml_is_said() -> None:
    model, (one,) = read_model("m", {"agents/a.lua": ""})
    assert model is None
    assert one.message == "the model has no model.toml"
    assert one.hint == "files given: agents/a.lua"


HOSTILE_TOML = {
    "a word": "a" * 200_000,
    "an open text": 'a = "' + "b" * 200_000,
    "a long text": "description = '" + "b" * 200_000 + "'",
    "escapes": 'a = """' + "\\a" * 100_000,
    "dots": "x." * 100_000,
    "a deep key": ".".join("a" * 100_000) + " = 1",
    "a deep table": "[" + " . ".join("a" * 50_000) + "]",
    "open tables": "a={b=" * 40_000,
    "deep tables": "a=" + "{b=" * 300 + "1" + "}" * 300,
    "open lists": "a=" + "[" * 200_000,
    "digits": "a = 0." + "1" * 200_000,
    "a whole number": "a = " + "1" * 200_000,
    "lines": "\n" * 200_000,
    "too long": "a" * 300_000,
}


@pytest.mark.parametrize("case", HOSTILE_TOML)
def test_no_model_toml_keeps_the_coordinator_busy(case: str) -> None:
    began = time.process_time()
    model, found = read_model("m", {"model.toml": HOSTILE_TOML[case]})
    assert model is None
    assert found
    assert time.process_time() - began < 1.0


def test_keys_are_found_in_every_way_toml_writes_them() -> None:
    toml = (
        "a = 1 # b = 2\n"
        'text = """\nc = 3\n"""\n'
        "list = [\n  1, # d = 4\n  2,\n]\n"
        "[t.u]\n"
        "  e.f = 1\n"
        '  "g h" = { i = 1, j = { k = "l = 1" } }\n'
    )
    assert key_lines(toml) == {
        ("a",): 1,
        ("text",): 2,
        ("list",): 5,
        ("t", "u"): 9,
        ("t",): 9,
        ("t", "u", "e"): 10,
        ("t", "u", "e", "f"): 10,
        ("t", "u", "g h"): 11,
        ("t", "u", "g h", "i"): 11,
        ("t", "u", "g h", "j"): 11,
        ("t", "u", "g h", "j", "k"): 11,
    }


def model_with_parameters() -> ModelSpec:
    model, _ = read_model("m", {"model.toml": FULL, **SCRIPTS})
    assert model is not None
    return model


DEFAULTS: dict[str, Scalar] = {"traders": 10, "shout": 0.5, "rule": "a", "open": True}


@pytest.mark.parametrize(
    "given",
    [{}, {"traders": 20, "rule": "b"}, {"shout": 1}, {"traders": 2.0}, {"open": False}],
)
def test_given_parameters_replace_defaults(given: dict[str, Scalar]) -> None:
    assert apply_parameters(model_with_parameters(), given) == ({**DEFAULTS, **given}, [])


@pytest.mark.parametrize(
    ("given", "line", "reason", "cure"),
    [
        ({"trader": 3}, 0, "the model has no parameter 'trader'", "did you mean traders?"),
        (
            {"xyz": 3},
            0,
            "the model has no parameter 'xyz'",
            "parameters: traders, shout, rule, open",
        ),
        ({"traders": 1}, 9, "'traders' must be at least 2 and at most 1000, not 1", ""),
        ({"traders": 2000}, 9, "not 2000", ""),
        ({"traders": "20"}, 9, "'traders' must be a number, not \"20\"", ""),
        ({"traders": True}, 9, "'traders' must be a number, not true", ""),
        ({"shout": float("inf")}, 10, "must be a finite number", ""),
        ({"shout": 2**60}, 10, "at most 2^53", ""),
        ({"rule": "c"}, 11, 'must be one of "a", "b", not "c"', ""),
        ({"open": 1}, 12, "'open' must be a boolean, not 1", ""),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused(
    given: dict[str, Scalar], line: int, reason: str, cure: str
) -> None:
    values, (one,) = apply_parameters(model_with_parameters(), given)
    assert values == DEFAULTS
    assert (one.severity, one.line) == ("error", line)
    assert reason in one.message
    assert cure in one.hint


def test_every_parameter_that_does_not_fit_is_reported() -> None:
    _, found = apply_parameters(model_with_parameters(), {"traders": 0, "rule": 1, "x": 2})
    assert [one.line for one in found] == [9, 11, 0]

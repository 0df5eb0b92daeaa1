"""What the documentation shows is true: examples run, tables and drawings agree with the code."""

from __future__ import annotations

import ast
import re
import struct
from pathlib import Path
from typing import Any

import anyio
import msgpack
import msgspec
import pytest
from examples import ROOT, Block, Example, all_blocks, blocks, examples
from mcp.client import Client
from written import written

from mcp_gateway.catalogue import Catalogue, shipped_models
from mcp_gateway.link import Link
from mcp_gateway.server import Gateway
from mcp_gateway.store import ModelStore
from runtime import library, model_activation, model_agents, model_environment, protocol
from runtime.client import Client as CoordinatorClient
from runtime.client import embedded_coordinator
from runtime.core.lifecycle import diagram
from runtime.model import read_model
from workers import names
from workers.host import Host

GUIDE = ROOT / "mcp_gateway" / "guide"
TOPICS = {
    "index", "model", "lua", "messages", "metrics", "environment", "space", "network", "regimes",
    "query", "errors", "library", "limits",
}  # fmt: skip
CHARACTERS_PER_TOKEN = 4
TOKENS = 600


# --- models ------------------------------------------------------------------------------------


def check(
    example: Example,
) -> tuple[protocol.ModelSpec | None, list[protocol.Diagnostic], list[int]]:
    model, found = read_model(example.name, example.complete())
    if model is None:
        return None, list(found), []
    parameters = {p.name: p.default for p in model.parameters}
    answer, _ = Host().handle(protocol.Check(epoch=0, model=model, parameters=parameters), [])
    assert isinstance(answer, protocol.Checked), answer
    return model, [*found, *answer.diagnostics], answer.counts


def run(model: protocol.ModelSpec, counts: list[int], ticks: int) -> protocol.Stepped:
    """The model on one worker in this process, from tick 0 on, in its regime."""
    host = Host()
    parameters = {p.name: p.default for p in model.parameters}
    size = max(1, -(-sum(counts) // 64))
    loaded, _ = host.handle(
        protocol.Load(
            epoch=0,
            worker=0,
            workers=1,
            model=model,
            parameters=parameters,
            activation=model.regime(parameters),
            seed=1,
            counts=counts,
            shard_size=size,
            placement=[0] * -(-sum(counts) // size),
        ),
        [],
    )
    assert isinstance(loaded, protocol.Loaded), loaded
    if loaded.fault is not None:
        return protocol.Stepped(worker=0, epoch=0, fault=loaded.fault)
    stepped, _ = host.handle(protocol.Step(epoch=0, tick=0, last=ticks, grant_ms=60_000), [])
    assert isinstance(stepped, protocol.Stepped), stepped
    return stepped


@pytest.mark.parametrize("example", [e for e in examples() if not e.fails], ids=lambda e: e.label)
def test_every_example_model_checks_without_a_warning_and_runs(example: Example):
    model, found, counts = check(example)
    assert model is not None
    assert [f"{d.file}:{d.line}: {d.message}" for d in found] == []
    stepped = run(model, counts, example.ticks)
    assert stepped.fault is None, stepped.fault
    assert stepped.tick == example.ticks or stepped.ended == "stop"
    if model.metrics:
        rows = msgpack.unpackb(stepped.rows)
        seen = {name for _, values in rows for name, value in values.items() if value is not None}
        assert {metric.name for metric in model.metrics} <= seen


@pytest.mark.parametrize("example", [e for e in examples() if e.fails], ids=lambda e: e.label)
def test_every_example_of_a_mistake_fails_as_the_page_says(example: Example):
    model, found, counts = check(example)
    errors = [d for d in found if d.severity == "error"]
    if example.fails == "check":
        assert errors != []
        assert example.tags.get("code", errors[0].code) in {d.code for d in errors}
        return
    assert model is not None
    assert errors == []
    fault = run(model, counts, example.ticks).fault
    assert fault is not None
    assert fault.kind == example.fails
    assert fault.line is not None


def test_the_page_of_errors_names_every_mistake_of_its_example():
    (example,) = [e for e in examples() if e.label == "errors:foreign"]
    _, found, _ = check(example)
    assert {d.line for d in found if d.severity == "error"} == {4, 5, 6}


def test_no_block_of_lua_or_toml_is_left_untried():
    untried = [
        f"{block.page.relative_to(ROOT)}:{block.line}"
        for block in all_blocks()
        if block.language in ("lua", "toml") and not {"model", "file"} <= block.tags.keys()
    ]
    assert untried == []


@pytest.mark.parametrize("page", ["docs/lua-api.md", "mcp_gateway/guide/limits.md"])
def test_the_limits_shown_are_those_of_the_kernel(page: str):
    kernel = (ROOT / "workers" / "kernel" / "api.lua").read_text(encoding="utf-8")
    table = re.search(r"M\.LIMITS = \{(.*?)\}", kernel)
    assert table is not None
    limits = dict(re.findall(r"(\w+) = (\d+)", table[1]))
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = {name: f"{int(value):,}".replace(",", " ") for name, value in limits.items()}
    assert {name: value for name, value in shown.items() if f" {value}" not in text} == {}


def code_words(page: str) -> set[str]:
    """Every word that stands in `code` on the page, outside its blocks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    code = " ".join(re.findall(r"`([^`\n]+(?:\n[^`\n]+)*)`", text))
    return set(re.findall(r"\w+", code))


def test_the_lua_page_names_everything_that_scripts_and_expressions_may_use():
    library = {name for members in names.LIBRARIES.values() for name in members}
    wanted = names.API | names.BASE | names.AGGREGATES | names.LAYER_METHODS | library
    assert wanted - code_words("docs/lua-api.md") == set()


def test_the_lua_page_names_all_that_a_model_may_declare_of_its_world():
    wanted = {*model_environment._KEYS, *model_environment._NETWORKS, *model_activation.REGIMES}
    for keys in (*model_environment._SPACES.values(), *model_environment._NETWORKS.values()):
        wanted |= set(keys)
    wanted |= {
        *model_environment._SPACES,
        *model_environment._LAYER,
        *model_agents._PLACES,
        "by_type",
    }
    assert wanted - code_words("docs/lua-api.md") == set()


LIMITS_OF_THE_WORLD = [
    ("replica.lua", "MOST_CELLS", "cells of a grid"),
    ("generators.lua", "MAX_LINKS", "links that a network starts with"),
    ("asking.lua", "MOST", "wait for one another"),
]


@pytest.mark.parametrize(("file", "constant", "what"), LIMITS_OF_THE_WORLD)
def test_the_limits_of_the_world_shown_are_those_of_the_kernel(file: str, constant: str, what: str):
    kernel = (ROOT / "workers" / "kernel" / file).read_text(encoding="utf-8")
    value = re.search(rf"local {constant} = (\d+)", kernel)
    assert value is not None
    shown = f"{int(value[1]):,}".replace(",", " ")
    text = (ROOT / "docs" / "lua-api.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("|") and what in line]
    assert f"| {shown} |" in row


# --- the guide ---------------------------------------------------------------------------------


def test_the_guide_has_its_topics_and_each_fits_a_small_context():
    sizes = {
        page.stem: len(page.read_text(encoding="utf-8")) / CHARACTERS_PER_TOKEN
        for page in GUIDE.glob("*.md")
    }
    assert sizes.keys() >= TOPICS
    assert {name: size for name, size in sizes.items() if size > TOKENS} == {}


def test_the_page_of_the_library_and_the_readme_name_every_model():
    shipped = set(shipped_models())
    for page in ("mcp_gateway/guide/library.md", "README.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert {name for name in shipped if not re.search(rf"\b{name}\b", text)} == set(), page


def calls(page: Path) -> list[tuple[str, dict[str, Any]]]:
    """The tool calls of a page: ``name(argument=value, …)``, one a line."""
    found = []
    for block in blocks(page):
        if block.language != "call":
            continue
        # `from` is a tool's argument and a keyword of Python
        for statement in ast.parse(block.text.replace("from=", "from_=")).body:
            assert isinstance(statement, ast.Expr)
            call = statement.value
            assert isinstance(call, ast.Call)
            assert isinstance(call.func, ast.Name)
            assert call.args == []
            arguments = {str(k.arg).rstrip("_"): ast.literal_eval(k.value) for k in call.keywords}
            found.append((call.func.id, arguments))
    return found


@pytest.mark.process
@pytest.mark.parametrize(
    "page", [page for page in sorted(GUIDE.glob("*.md")) if calls(page)], ids=lambda page: page.stem
)
def test_the_tool_calls_of_the_guide_succeed_in_the_order_shown(page: Path):
    failed: list[str] = []

    async def main(gateway: Gateway) -> None:
        async with Client(gateway) as client:
            for tool, arguments in calls(page):
                result = await client.call_tool(tool, arguments)
                if result.is_error:
                    failed.append(f"{tool}({arguments}): {result.content[0].text}")

    with embedded_coordinator() as coordinator:
        link = Link(lambda: CoordinatorClient(coordinator.endpoint))
        try:
            catalogue = Catalogue(ModelStore(library.home()), shipped_models())
            anyio.run(main, Gateway(link, catalogue))
        finally:
            link.close()
    assert failed == []


# --- what is made from the code ----------------------------------------------------------------


def field_names(record: type[Any]) -> str:
    return ", ".join(f"`{name}`" for name in record.__struct_encode_fields__)


def records_under(base: type[Any]) -> list[type[Any]]:
    return [
        thing
        for thing in vars(protocol).values()
        if isinstance(thing, type) and issubclass(thing, base) and thing is not base
    ]


def tables() -> dict[str, list[str]]:
    """The rows of the tables in docs/protocol.md, by the name of their marker."""
    pairs = {
        "Welcome": "none", "Check": "Checked", "Load": "Loaded", "Step": "Stepped",
        "Close": "Closed", "Settle": "Settled", "Dump": "Dumped", "Query": "Queried",
        "Combine": "Combined", "Unload": "Unloaded", "Stop": "none",
    }  # fmt: skip
    return {
        "orders": [
            f"| `{order.__name__}` | {pairs[order.__name__]} | {field_names(order)} |"
            for order in records_under(protocol.Order)
        ],
        "answers": [
            f"| `{answer.__name__}` | {field_names(answer)} |"
            for answer in [protocol.Hello, *records_under(protocol.Answer)]
        ],
        "records": [
            f"| `{record.__name__}` | {field_names(record)} |"
            for record in [*records_under(protocol.Record), protocol.Counts]
        ],
    }


def between_markers(page: str, name: str) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    match = re.search(rf"<!-- {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert match is not None, f"docs/{page} has no <!-- {name} --> … <!-- end -->"
    return match[1]


@pytest.mark.parametrize("name", ["orders", "answers", "records"])
def test_the_protocol_page_lists_every_record_with_its_fields(name: str):
    shown = between_markers("protocol.md", name).splitlines()[2:]
    assert shown == tables()[name]


class Reader:
    """Reads what docs/protocol.md says of changes: msgpack, with columns between."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def value(self) -> Any:
        unpacker = msgpack.Unpacker(strict_map_key=False)
        unpacker.feed(self.data[self.at :])
        found = unpacker.unpack()
        self.at += unpacker.tell()
        return found

    def array(self) -> int:
        unpacker = msgpack.Unpacker()
        unpacker.feed(self.data[self.at :])
        length = unpacker.read_array_header()
        self.at += unpacker.tell()
        return length

    def column(self) -> list[Any]:
        form = self.data[self.at : self.at + 1]
        (n,) = struct.unpack_from("<I", self.data, self.at + 1)
        self.at += 5
        if form == b"m":
            return [self.value() for _ in range(n)]
        items = {b"c": "<d", b"i": f"<{n}i", b"d": f"<{n}d"}[form]
        found = struct.unpack_from(items, self.data, self.at)
        self.at += struct.calcsize(items)
        return [int(x) for x in (found * n if form == b"c" else found)]

    def rows(self) -> list[tuple[Any, ...]]:
        columns = self.array() - 1
        n = self.value()
        found = [self.column() for _ in range(columns)]
        assert {len(column) for column in found} == {n}
        return list(zip(*found, strict=True))


def test_the_changes_of_a_tick_lie_as_the_protocol_page_says():
    toml = """
        [environment]
        network = { kind = "empty" }
        space = { kind = "grid", width = 5, height = 4 }
        [environment.layers]
        heat = 0
        [agents.a]
        count = 3
        place = "grid"
        publish = ["n"]
    """
    agent = """
        function init(self) self.n = 0 end
        function step(self)
          self.n = 7 * self.id
          move_to(4, self.id)
          layer.heat:add(2, 1, 5)
          if self.id < 3 then
            link_to(3, 2)
            send("environment", "note", {t = self.id})
            spawn("a", {n = 1}, 1, 2)
          else
            remove()
          end
        end
    """
    environment = "function on.note(env, msg) env.t = msg.t end"
    spec = written(toml, a=agent, environment=environment)
    host = Host()
    host.handle(
        protocol.Load(
            epoch=0, worker=0, workers=2, model=spec, parameters={}, seed=1, counts=[3],
            shard_size=3, placement=[0],
        ),
        [],
    )  # fmt: skip
    for tick in (0, 1):
        stepped, _ = host.handle(protocol.Step(epoch=0, tick=tick, last=tick), [])
        assert isinstance(stepped, protocol.Stepped)
        assert stepped.fault is None, stepped.fault
        if tick == 0:
            close = protocol.Close(epoch=0, tick=0, changes=[stepped.changes, b""])
            closed, _ = host.handle(close, [])
            assert isinstance(closed, protocol.Closed), closed
    blob = Reader(stepped.changes)
    assert blob.array() == 3
    assert blob.value() == [3]
    assert blob.value() == [[1, 1, {"n": 1}, 1, 2, None], [2, 1, {"n": 1}, 1, 2, None]]
    assert blob.array() == 5
    assert blob.rows() == [(1, 1, 1, {"t": 1}), (2, 1, 1, {"t": 2})]
    assert blob.rows() == [(id_, 1, 1, 7, 5) for id_ in (1, 2, 3)]
    assert blob.rows() == [(id_, 4, id_, 0) for id_ in (1, 2, 3)]
    assert blob.rows() == [(1, 3, 1, 2), (2, 3, 1, 2)]
    assert blob.array() == 1
    assert blob.array() == 4
    assert [blob.value(), blob.value()] == [1, 3]
    assert [blob.column(), blob.column()] == [[1, 2, 3], [7, 14, 21]]
    assert blob.at == len(stepped.changes)


def test_the_architecture_page_names_every_module():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = ("runtime", "runtime/core", "workers", "mcp_gateway")
    modules = [path.name for folder in folders for path in sorted((ROOT / folder).glob("[!_]*.py"))]
    kernel = [f"`{path.stem}`" for path in sorted((ROOT / "workers" / "kernel").glob("*.lua"))]
    assert [name for name in [*modules, *kernel] if not re.search(rf"(?<!\w){name}", page)] == []


def test_the_architecture_page_draws_the_lifecycle_that_is_in_the_code():
    assert between_markers("architecture.md", "lifecycle") == f"```mermaid\n{diagram()}\n```\n"


@pytest.mark.parametrize(
    "block", [b for b in all_blocks() if "wire" in b.tags], ids=lambda b: b.tags["wire"]
)
def test_the_wire_examples_are_read_by_the_protocol(block: Block):
    fields = msgspec.json.decode(block.text)
    union = protocol.AnyOrder if block.tags["wire"] == "order" else protocol.AnyAnswer
    record = msgspec.convert(fields, union, strict=False)
    assert type(record).__name__ == fields[0]
    assert len(msgpack.unpackb(protocol.encode(record))) == len(fields)


def test_every_link_to_a_page_or_file_leads_somewhere():
    broken = []
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/*/*.md")]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, _ = target.partition("#")
            if path and "://" not in path and not (page.parent / path).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []

"""The gateway's parts without SDK, coordinator or process."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from mcp_gateway import catalogue, faults, http, render, report
from mcp_gateway.arguments import schema
from mcp_gateway.edits import MAX_FILE, BadEdit, Edit, changed
from mcp_gateway.link import Link
from mcp_gateway.store import KEPT, ModelStore, Stored, StoreError
from mcp_gateway.tools import TOOLS, guide
from runtime.commands import AnyReply, Command, Done, SimulationInfo, Status
from runtime.errors import CoordinatorLost, UsageError
from runtime.protocol import Counts, Fault

# --- text --------------------------------------------------------------------------------------


def test_a_table_puts_numbers_right_and_texts_left() -> None:
    assert render.table(["id", "name", "x"], [[1, "ann", 0.5], [10, "b", None]]) == [
        "id  name     x",
        " 1  ann    0.5",
        "10  b     null",
    ]


def test_a_sparkline_spans_least_to_greatest_and_is_empty_for_a_flat_line() -> None:
    assert render.spark([0, 1, 2, None, 7]) == "▁▂▃ █"
    assert render.spark([3.0, 3.0, math.nan]) == ""
    assert render.spark([-1e308, 1e308]) == "▁█"
    assert len(render.spark(range(1000))) == 16


def test_what_does_not_fit_is_counted_and_the_last_can_be_kept() -> None:
    lines = [f"line {i}" for i in range(10)]

    def left_out(count: int) -> str:
        return f"… {count} left out"

    assert render.fit(["head"], lines, left_out, ["tail"], budget=50) == (
        "head\nline 0\nline 1\nline 2\n… 7 left out\ntail"
    )
    assert render.fit(["head"], lines, left_out, budget=40, missing=90, keep_last=True) == (
        "head\n… 98 left out\nline 8\nline 9"
    )


def test_cleaning_takes_away_what_a_reader_cannot_see() -> None:
    hidden = "\x00\x1b\x9b\u200b\u202e\u2066\ufeff\ud800\U000e0041"
    assert render.clean(f"a{hidden}b\tc\nd") == "ab\tc\nd"
    assert render.one_line("a\nb\tc" + "x" * 100, 10) == "a\\nb\\tcxx…"


# --- simulations and faults --------------------------------------------------------------------


def test_a_result_names_its_regime_and_what_there_is_to_know_of_it() -> None:
    info = SimulationInfo(
        sim="flock-1",
        model="flock",
        phase="ready",
        tick=0,
        target=0,
        stopped="",
        parameters={},
        seed=1,
        activation="random",
        workers=1,
        vm="luajit21",
        agents={"bird": 3},
        messages=Counts(),
        metrics={},
        elapsed_s=0.0,
        ticks_per_s=0.0,
        notes=["activation 'random' runs on one worker: 3 were asked for"],
    )
    assert report.simulation(info).splitlines() == [
        "flock-1 at tick 0: ready",
        "note: activation 'random' runs on one worker: 3 were asked for",
        "agents: bird 3",
        "model flock, seed 1, random, 1 worker, luajit21",
    ]


def test_a_fault_of_the_environment_names_it_instead_of_an_agent() -> None:
    fault = Fault(
        kind="fuel",
        message="the fuel is spent",
        tick=5,
        agent_type="environment",
        file="environment.lua",
        line=12,
        handler="step",
    )
    assert faults.fault_lines(fault) == [
        "fuel fault at tick 5: environment.lua:12: the fuel is spent",
        "    the environment, in step",
    ]


def test_models_run_with_their_scripts_and_tables_and_without_their_prose() -> None:
    files = {"README.md": "", "model.toml": "", "agents/a.lua": "", "links.csv": "1,2"}
    kept = ["agents/a.lua", "links.csv", "model.toml"]
    assert sorted(catalogue.program({**files, "expected.toml": ""})) == kept


# --- edits -------------------------------------------------------------------------------------

BASE = {"model.toml": "name = 1\n", "agents/a.lua": "x = 1\ny = 2\ny = 2\n"}


def test_whole_files_are_put_in_taken_away_and_edited_in_order() -> None:
    edits = [Edit("agents/b.lua", "one", "two"), Edit("agents/b.lua", "two", "three")]
    files = {"agents/b.lua": "one\r\n", "agents/a.lua": None}
    assert changed(BASE, files, edits) == {"model.toml": "name = 1\n", "agents/b.lua": "three\n"}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (Edit("agents/a.lua", "y = 2", ""), "old stands 2 times (lines 2, 3)"),
        (Edit("agents/a.lua", "x == 1", ""), "The nearest text is:\n   1 | x = 1"),
        (Edit("agents/a.lua", "something else entirely", ""), "Nothing in it is close"),
        (Edit("agents/z.lua", "x", ""), "there is no file 'agents/z.lua'. Files: agents/a.lua,"),
        (Edit("agents/a.lua", "", "x"), "old is empty"),
    ],
)
def test_an_edit_that_does_not_stand_exactly_once_is_refused(edit: Edit, said: str) -> None:
    with pytest.raises(BadEdit) as raised:
        changed(BASE, {}, [edit])
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.lua": "x" * (MAX_FILE + 1)}, "a file has at most"),
        ({f"a{i}.lua": "x" * MAX_FILE for i in range(5)}, "a model has at most 1048576"),
        ({f"a{i}.lua": "" for i in range(65)}, "a model has at most 64"),
        ({"a.lua": "\0"}, "is not text"),
        ({"a.lua": "\ud800"}, "is not text"),
        ({"b.lua": None}, "no such file to take away"),
    ],
)
def test_sizes_and_contents_are_bounded(files: dict[str, str | None], said: str) -> None:
    with pytest.raises(BadEdit) as raised:
        changed({}, files, [])
    assert said in str(raised.value)


# --- store -------------------------------------------------------------------------------------


def numbers(stored: Stored | None) -> tuple[int | None, int | None]:
    assert stored is not None
    return (
        stored.good.number if stored.good else None,
        stored.draft.number if stored.draft else None,
    )


def test_the_last_good_revision_and_a_newer_draft_stand_side_by_side(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    seen = []
    for good in (False, True, False, False, True):
        store.write("m", BASE, good=good)
        seen.append(numbers(store.read("m")))
    assert seen == [(None, 1), (2, None), (2, 3), (2, 4), (5, None)]
    assert store.names() == ["m"]
    assert (tmp_path / "models/m/good/agents/a.lua").read_text() == BASE["agents/a.lua"]


def test_old_revisions_are_deleted_but_never_the_good_one(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    store.write("m", BASE, good=True)
    for _ in range(KEPT + 5):
        store.write("m", BASE, good=False)
    assert numbers(store.read("m")) == (1, KEPT + 6)
    kept = [path.name for path in (tmp_path / "models/m").glob("r*")]
    assert len(kept) == KEPT + 1


def test_a_write_that_fails_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    store.write("m", BASE, good=True)
    with pytest.raises(UnicodeEncodeError):
        store.write("m", {"a.lua": "\ud800"}, good=True)
    assert numbers(store.read("m")) == (1, None)
    assert sorted(os.listdir(tmp_path / "models/m")) == [".lock", "good", "r1"]


def test_removing_a_model_leaves_nothing_of_it(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    store.write("m", BASE, good=True)
    assert store.remove("m")
    assert not store.remove("m")
    assert store.read("m") is None
    assert os.listdir(tmp_path / "models") == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "1a", "a-b", "a" * 41, "a\n"])
def test_names_that_could_leave_the_folder_or_confuse_are_refused(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(StoreError, match="cannot be a model's name"):
        ModelStore(tmp_path).read(name)


# --- link --------------------------------------------------------------------------------------


class Connection:
    """Fails as it is told; says whether it was closed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = False

    def request(self, command: Command) -> AnyReply:
        if self.error is not None:
            raise self.error
        return Done()

    def close(self) -> None:
        self.closed = True


def test_a_connection_is_used_again_unless_the_coordinator_was_lost() -> None:
    fine, refused, lost = Connection(), Connection(UsageError("no")), Connection()
    lost.error = CoordinatorLost("gone")
    opened = [lost, refused, fine]
    link = Link(opened.pop)
    assert link.request(Status()) == link.request(Status()) == Done()
    assert opened == [lost, refused]
    fine.error = CoordinatorLost("gone")
    with pytest.raises(CoordinatorLost):
        link.request(Status())
    for _ in range(2):
        with pytest.raises(UsageError):
            link.request(Status())
    assert opened == [lost]
    link.close()
    assert [c.closed for c in (fine, refused, lost)] == [True, True, False]
    with pytest.raises(CoordinatorLost):
        link.request(Status())


# --- addresses and guide -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:8931", ("::1", 8931)),
        ("127.8.8.8:1", ("127.8.8.8", 1)),
    ],
)
def test_loopback_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    assert http.parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["0.0.0.0:1", "[::]:1", "example.org:1", "10.0.0.1:1", "localhost", "127.0.0.1:65536", ":1"],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(http.BadAddress):
        http.parse_address(text)


def test_every_page_of_the_guide_fits_one_answer() -> None:
    pages = guide.topics()
    assert {"index", "model", "lua", "messages", "metrics", "query", "errors"} <= set(pages)
    assert [name for name, page in pages.items() if len(guide.parts(page.read_text())) > 1] == []


def test_the_documentation_names_every_argument_of_every_tool() -> None:
    page = (Path(__file__).parent.parent / "docs" / "mcp.md").read_text()
    sections = dict(part.split("\n", 1) for part in page.split("\n### ")[1:])
    assert list(sections) == [tool.name for tool in TOOLS]
    missing = [
        (tool.name, name)
        for tool in TOOLS
        for name in schema(tool.arguments)["properties"]
        if f"`{name}`" not in sections[tool.name]
    ]
    assert missing == []


def test_a_long_page_is_cut_between_paragraphs_and_nothing_is_lost() -> None:
    blocks = ["para " + "x" * 50, "```\ncode\n\nmore code\n```", "y" * 30, "z" * 250]
    cut = guide.parts("\n\n".join(blocks), 100)
    assert cut == [
        blocks[0] + "\n\n" + blocks[1],
        blocks[2],
        "z" * 100,
        "z" * 100,
        "z" * 50,
    ]

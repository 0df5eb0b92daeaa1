"""Models found by path and by name."""

import pytest

from runtime import library
from runtime.errors import UnknownModel, UsageError

TOML = 'name = "{0}"\ndescription = "about {0}"\n'


def write(folder, **files):
    for name, text in {"model.toml": TOML.format(folder.name), **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GEDANKEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "shipped", lambda: tmp_path / "shipped")
    return tmp_path / "shipped"


def test_a_folder_is_read_with_its_scripts_and_nothing_else(home, tmp_path):
    script = {"agents/a.lua": "-- a", "agents/deep/b.lua": "-- b", ".git/x.lua": "", "notes.md": ""}
    folder = write(tmp_path / "trade", **script)
    files = {
        "model.toml": TOML.format("trade"),
        "agents/a.lua": "-- a",
        "agents/deep/b.lua": "-- b",
    }
    assert library.read_model(str(folder)) == ("trade", files)
    assert library.read_model(str(folder / "model.toml")) == ("trade", files)


def test_a_table_is_read_if_model_toml_names_it(home, tmp_path):
    toml = '[environment]\nnetwork = { kind = "edges", file = "data/links.csv" }\n'
    tables = {"model.toml": toml, "data/links.csv": "1,2\n", "results.csv": "tick\n"}
    folder = write(tmp_path / "trade", **tables)
    assert library.read_model(str(folder))[1] == {"model.toml": toml, "data/links.csv": "1,2\n"}


def test_a_folder_is_called_by_its_full_path_even_when_it_is_the_present_one(
    home, tmp_path, monkeypatch
):
    monkeypatch.chdir(write(tmp_path / "trade"))
    assert library.read_model(".")[0] == "trade"


def test_a_name_finds_the_librarys_model_and_one_written_over_mcp_before_it(home, shipped):
    write(shipped / "ring")
    assert library.read_model("ring")[1] == {"model.toml": TOML.format("ring")}
    revision = write(home / "ring" / "r2")
    (home / "ring" / "good").symlink_to(revision)
    name, files = library.read_model("ring")
    assert (name, files["model.toml"]) == ("ring", TOML.format("r2"))


def test_the_list_has_every_model_with_its_description_by_name(home, shipped):
    write(shipped / "ring")
    write(shipped / "broken", **{"model.toml": "name ="})
    write(home / "market" / "good")
    (shipped / "no_model").mkdir()
    listed = [(m.name, m.description, m.origin) for m in library.models()]
    assert [listed[0][0], listed[0][1][:15]] == ["broken", "(cannot be read"]
    assert listed[1:] == [("market", "about good", "home"), ("ring", "about ring", "library")]


@pytest.mark.parametrize(
    ("toml", "activation"),
    [
        ("", "synchronous"),
        ('activation = "uniform"\n', "uniform"),
        ('activation = { by_type = ["sheep", "wolf"] }\n', "by_type: sheep, wolf"),
        (
            'activation = { parameter = "regime" }\n[parameters]\n'
            'regime = { default = "random", choices = ["random", "ordered"] }\n',
            "regime: random, ordered",
        ),
        ('activation = { parameter = "regime" }\nparameters = 3\n', "regime"),
        ("activation = 3\n", ""),
        ("activation = ", ""),
    ],
)
def test_a_model_is_listed_with_its_regime_or_how_it_is_chosen(home, shipped, toml, activation):
    write(shipped / "ring", **{"model.toml": toml})
    (model,) = library.models()
    assert model.activation == activation


def test_the_models_of_this_project_are_listed(home):
    names = {m.name for m in library.models()}
    assert {"wealth", "epidemic", "ring", "gossip"} <= names


def test_a_name_that_is_nowhere_is_answered_with_those_that_are(home, shipped):
    write(shipped / "ring")
    with pytest.raises(UnknownModel) as caught:
        library.read_model("rang")
    assert (str(caught.value), caught.value.hint) == (
        "there is no model 'rang': neither a folder nor a name of the library",
        "the library has: ring",
    )


def test_a_folder_without_a_model_says_what_it_lacks(home, tmp_path):
    with pytest.raises(UnknownModel, match=r"is a folder without model\.toml"):
        library.read_model(str(tmp_path))


def test_a_file_that_is_no_text_is_refused_with_its_place(home, tmp_path):
    folder = write(tmp_path / "trade")
    (folder / "a.lua").write_bytes(b"-- one\n-- \xff\n")
    with pytest.raises(UsageError, match=r"a\.lua:2: not UTF-8 text \(byte 0xff\)"):
        library.read_model(str(folder))


def test_files_that_are_too_large_are_refused(home, tmp_path, monkeypatch):
    monkeypatch.setattr(library, "MAX_BYTES", 1 << 20)
    folder = write(tmp_path / "trade", **{"a.lua": "-" * (1 << 20)})
    with pytest.raises(UsageError, match="are more than 1 MiB"):
        library.read_model(str(folder))


@pytest.mark.parametrize(
    ("folder", "name"),
    [("my model", "my-model"), ("2nd.try", "nd-try"), ("Ünder", "nder"), ("42", "model")],
)
def test_a_folder_of_any_name_gives_a_name_that_fits_simulations(folder, name, tmp_path):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "model.toml").write_text("")
    assert library.read_model(str(tmp_path / folder))[0] == name

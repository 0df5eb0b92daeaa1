"""simctl new, models and mcp: what needs no coordinator."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

from runtime import library, report
from runtime.commands import FORMAT
from runtime.errors import UsageError
from runtime.figures import table
from runtime.interpreter import become

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")

TEMPLATE: Final = {
    "model.toml": """\
name = "{name}"
description = "A rumour goes from person to person until everybody knows it"
activation = "synchronous"

[parameters]
people = {{ default = 200, min = 2, max = 1_000_000, description = "number of people" }}
talk = {{ default = 0.3, min = 0.0, max = 1.0, description = "chance to tell somebody in a tick" }}

[agents.person]                      # its script is agents/person.lua
count = "people"
state = {{ knows = "i == 1" }}         # the first person starts the rumour

[metrics]
knowing = "count(person, self.knows)"
told = "mean(person, self.told)"

[stop]
when = "knowing == people"

[invariants]
nobody_leaves = "count(person) == people"
""",
    "agents/person.lua": """\
-- One person. `self` is this agent's state; `param` has the parameters of model.toml.

function init(self)
  self.told = 0                      -- how often this person was told
end

function on.rumour(self, msg, from)
  self.told = self.told + 1
  self.knows = true
end

function step(self)                  -- every tick, after the mail
  if self.knows and random() < param.talk then
    send(choice(agents("person")), "rumour")
  end
end
""",
    "README.md": """\
# {name}

A rumour goes from person to person: whoever knows it tells a random person with chance `talk` in a
tick. `knowing` counts those who know, `told` is how often a person was told on average.

    simctl check {name}
    simctl run {name} --ticks 200
    simctl run {name} -p talk=0.1 -p people=1000 --seed 2 --metrics-out {name}.csv

Change `agents/person.lua` and `model.toml`; `simctl check` names what does not fit, with its line.
""",
}
"""The model that ``simctl new`` writes: file -> text with ``{name}``."""


@click.command()
@click.argument("name")
def new(name: str) -> None:
    """Write a small working model into the new folder NAME.

    It checks and runs as it is: simctl run NAME. Change it from there.
    """
    folder = Path(name)
    if not NAME.fullmatch(folder.name):
        raise UsageError(
            f"a model's name is 1 to 40 of a-z, 0-9 and _, and starts with a letter, not {name!r}",
            "simctl new market",
        )
    try:
        folder.mkdir(parents=True)
        for path, text in TEMPLATE.items():
            target = folder / path
            target.parent.mkdir(exist_ok=True)
            target.write_text(text.format(name=folder.name), encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"{name} exists already", "choose another name, or remove it") from None
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror}") from None
    click.echo(f"wrote {', '.join(str(folder / path) for path in TEMPLATE)}")
    click.echo(f"now: simctl run {name} --ticks 200")


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def models(form: str) -> None:
    """List the models of the library with the regime they run by; simctl run takes their names.

    Where a parameter chooses the regime its name and choices are shown: simctl run NAME -p
    PARAMETER=CHOICE.
    """
    found = library.models()
    if form == "json":
        click.echo(report.to_json({"format": FORMAT, "models": found}))
        return
    rows = [(m.name, m.activation, m.description) for m in found]
    for line in table(("model", "activation", "description"), rows, left=(0, 1, 2)):
        click.echo(line)


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def mcp(arguments: tuple[str, ...]) -> None:
    """Serve the Model Context Protocol on stdio, or with --http HOST:PORT over HTTP.

    Becomes `python -m mcp_gateway`, which takes the arguments.
    """
    become("mcp_gateway", arguments)

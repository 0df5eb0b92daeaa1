"""``python -m bench [NAME…] [--agents N…] [--workers W…] [--json FILE|-]``: times, checked.

Exit status: 0 when everything computed what it should (whatever the times), 1 when a check failed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from bench import table
from bench.catalogue import BENCHMARKS
from bench.harness import CheckFailed, Options, Row
from runtime.errors import GedankenError


def parser() -> argparse.ArgumentParser:
    names = "\n".join(f"  {name:<10} {what}" for name, (_, what) in BENCHMARKS.items())
    options = argparse.ArgumentParser(
        prog="python -m bench",
        description="Time the runtime beside its yardsticks, and check every result that is timed.",
        epilog=f"benchmarks:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("names", nargs="*", metavar="NAME", help="which (default: all)")
    options.add_argument("--agents", nargs="+", type=_positive, metavar="N", help="sizes")
    options.add_argument(
        "--workers", nargs="+", type=_positive, metavar="W", help="numbers of workers"
    )
    options.add_argument("--repeats", type=_positive, metavar="R", help="samples of each")
    options.add_argument(
        "--json",
        metavar="FILE",
        help="write the rows as a JSON list; '-' is stdout, and then the table goes to stderr",
    )
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmarks asked for; the exit status."""
    options = parser()
    args = options.parse_args(argv)
    unknown = [name for name in args.names if name not in BENCHMARKS]
    if unknown:
        options.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
    wanted = Options(_tuple(args.agents), _tuple(args.workers), args.repeats)
    out = sys.stderr if args.json == "-" else sys.stdout
    rows, failed = _run(args.names or list(BENCHMARKS), wanted, out)
    if args.json is not None:
        text = json.dumps([row.as_json() for row in rows], indent=1) + "\n"
        if args.json == "-":
            sys.stdout.write(text)
        else:
            Path(args.json).write_text(text, encoding="utf-8")
    return 1 if failed else 0


def _run(names: Sequence[str], options: Options, out: TextIO) -> tuple[list[Row], bool]:
    """All rows, printed as they come; whether any check failed."""
    rows: list[Row] = []
    failed = False
    print(table.heading(), file=out, flush=True)
    for name in names:
        workload, _ = BENCHMARKS[name]
        try:
            for row in workload(options):
                rows.append(row)
                print(table.line(row), file=out, flush=True)
        except (CheckFailed, GedankenError) as error:
            failed = True
            print(f"{name:<10} FAILED: {error}", file=out, flush=True)
    print(f"\n{table.LEGEND}", file=out)
    return rows, failed


def _positive(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _tuple(numbers: list[int] | None) -> tuple[int, ...] | None:
    return tuple(numbers) if numbers else None


if __name__ == "__main__":
    sys.exit(main())

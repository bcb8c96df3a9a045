"""The command: ``python -m tests.trust [--short] [--seed N] [--only NAME] [--case NAME] [--out FILE]``."""

import argparse
import json
import os
import sys
from pathlib import Path

THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust", description="Attack what is promised.")
    parser.add_argument("--short", action="store_true", help="a minute's worth of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", help="name of an attack; may be given again")
    parser.add_argument("--case", help="replay one case, as a failure names it")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--budget", type=float, default=540.0, help="seconds after which no case is begun")
    parser.add_argument("--out", type=Path, help="the page to write")
    parser.add_argument("--json", type=Path, help="the same for a program")
    options = parser.parse_args()

    from .attacks import ATTACKS
    from .page import page, replay
    from .runner import run

    names = [options.case.partition("/")[0]] if options.case else options.only
    if unknown := set(names or ()) - {attack.name for attack in ATTACKS}:
        parser.error(f"attacks are {', '.join(attack.name for attack in ATTACKS)}; got {', '.join(unknown)}")
    chosen = [attack for attack in ATTACKS if not names or attack.name in names]
    outcomes = run(
        chosen,
        seed=options.seed,
        short=options.short,
        workers=options.workers,
        budget=options.budget,
        only=options.case,
    )
    for outcome in outcomes:
        print(
            f"{outcome.attack.name}: {outcome.tried:,} {outcome.attack.unit}, {outcome.cases} of "
            f"{outcome.planned} cases, {outcome.seconds:.0f} s, {len(outcome.findings)} faults"
        )
        for note, count in outcome.notes.items():
            print(f"  note: {count} {note}")
        for finding in outcome.findings[:20]:
            print(f"  {finding.text}\n    {replay(finding, options.seed, short=options.short)}")
        if len(outcome.findings) > 20:
            print(f"  and {len(outcome.findings) - 20} more")
    if options.json:
        content = {
            outcome.attack.name: {
                "tried": outcome.tried,
                "cases": outcome.cases,
                "planned": outcome.planned,
                "notes": outcome.notes,
                "findings": [
                    f"{finding.text}\n{replay(finding, options.seed, short=options.short)}"
                    for finding in outcome.findings
                ],
            }
            for outcome in outcomes
        }
        options.json.write_text(json.dumps(content))
    if options.out:
        page(outcomes, options.out, seed=options.seed, short=options.short, workers=options.workers)
    whole = all(outcome.cases == outcome.planned for outcome in outcomes)
    return 0 if whole and not any(outcome.findings for outcome in outcomes) else 1


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in THREADS.items()):
        os.environ.update(THREADS)  # read when Python and its libraries start
        os.execv(sys.executable, [sys.executable, "-m", "tests.trust", *sys.argv[1:]])
    sys.exit(main())

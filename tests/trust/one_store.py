"""Four processes that write 1,000 answers each into one store, with undo and redo between them."""

from dhaps_core.answers.store import LabelStore

from .case import Attack, Case, wait

__all__ = ["ATTACK"]


def cases(short: bool) -> list[str]:
    return ["4x60", "4x60-undo"] if short else ["4x1000", "4x300-undo", "8x200", "4x200-all", "4x60-undo"]


def play(case: Case) -> None:
    size, _, how = case.name.partition("-")
    writers, answers = map(int, size.split("x"))
    path = case.folder / "labels.sqlite"
    expected = [_plan(case, writer, answers, how) for writer in range(writers)]
    pids = [
        case.child(lambda writer=writer: _write(path, writer, expected[writer])) for writer in range(writers)
    ]
    for writer, pid in enumerate(pids):
        case.require(wait(pid, 280) == 0, f"writer {writer} failed: {_output(case)}")
    with LabelStore(path) as store:
        stored = store.answers()
        rows = [answer.id for answer in stored]
        case.require(rows == sorted(set(rows)), "answers are out of order or doubled")
        for writer in range(writers):
            mine = [answer.keys[0] for answer in stored if answer.who == _person(writer)]
            left = _left(expected[writer])
            case.require(
                mine == left, f"writer {writer}: {len(mine)} answers count, where {len(left)} were given"
            )
        case.require(len(stored) == sum(len(_left(plan)) for plan in expected), "answers of nobody")
        mark = store.watermark()
        case.require(store.answers(mark) == stored, "the last watermark is another state")
    with LabelStore(path) as store:
        case.require(store.answers() == stored, "reopened it tells something else")
    case.tried += writers * answers


def _person(writer: int) -> str:
    return f"person {writer % 2} at desk {writer}"


def _plan(case: Case, writer: int, answers: int, how: str) -> list[str]:
    """What one writer does: keys of answers, and "undo" or "redo" of its own last one."""
    draws = case.draws(writer)
    plan: list[str] = []
    for i in range(answers):
        plan.append(f"item {writer} {i}")
        if how == "undo" and draws.random() < 0.3:
            plan += draws.choice((["undo"], ["undo", "redo"], ["undo", "redo", "undo"]))
    return plan if how != "all" else ["all", *plan]


def _left(plan: list[str]) -> list[str]:
    """Keys whose answers count after a plan, in order."""
    kept: list[str] = []
    undone: list[str] = []
    for step in plan:
        if step == "undo":
            undone.append(kept.pop())
        elif step == "redo":
            kept.append(undone.pop())
        elif step != "all":
            kept.append(step)
    return kept


def _write(path, writer: int, plan: list[str]) -> None:
    who = _person(writer)
    with LabelStore(path, busy_seconds=240) as store:
        if plan[0] == "all":
            for start in range(1, len(plan), 10):
                some = [("class", (key,), "a", key) for key in plan[start : start + 10]]
                store.add_all(some, who=who)
            return
        for step in plan:
            if step == "undo":
                assert store.undo(who=who) is not None
            elif step == "redo":
                assert store.redo(who=who) is not None
            else:
                row = store.add("class", (step,), "a", who=who, seconds=0.1, question=step)
                assert store.add("class", (step,), "a", who=who, seconds=0.1, question=step) == row, (
                    "a double click"
                )


def _output(case: Case) -> str:
    log = (case.folder.parent / "output.log").read_text(errors="replace").strip().splitlines()
    return log[-1] if log else "no word"


ATTACK = Attack(
    name="one_store",
    promise="Answers of several people and processes in one store are all there, in order, each once; "
    "undo and redo touch only one's own",
    how="4 processes give 1,000 answers each, every one twice as by a double click; 4 and 8 give "
    "fewer, with undo and redo of their own between them, or in transactions of ten; every "
    "answer is looked for",
    found="Nothing lost or doubled, before and now",
    unit="answers",
    cases=cases,
    play=play,
    limit=300,
)

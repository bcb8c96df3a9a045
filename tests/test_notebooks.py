"""Every notebook: its form, and a headless run with small sizes."""

import ast
import itertools
import json
import os
import re
from pathlib import Path

import papermill
import pytest
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

from dhaps_core.sweeps.notebook import check_parameters

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SMOKE = {"interactive": False, "smoke": True}
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# What the libraries of the kernel and of papermill say about themselves is no fault of a notebook.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def content(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code_of(path):
    return ["".join(cell["source"]) for cell in content(path)["cells"] if cell["cell_type"] == "code"]


def run(path, folder, **parameters):
    known = papermill.inspect_notebook(str(path))
    given = {"folder": str(folder / "runs"), **SMOKE, **parameters}
    given = {name: value for name, value in given.items() if name in known}
    out = folder / path.name
    papermill.execute_notebook(
        str(path), str(out), parameters=given, cwd=str(path.parent), progress_bar=False,
        execution_timeout=600, start_timeout=120, store_widget_state=False,
    )  # fmt: skip
    return out


@every_notebook
def test_the_form_of_a_notebook(path):
    notebook = content(path)
    assert len(notebook["cells"]) <= 25
    tags = [cell["metadata"].get("tags", []) for cell in notebook["cells"]]
    assert sum("parameters" in tag for tag in tags) == 1
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert "widgets" not in notebook["metadata"]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@every_notebook
def test_a_notebook_defines_nothing_and_asks_nothing(path):
    for source in code_of(path):
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            assert not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "input")


@every_notebook
def test_every_parameter_is_typed_and_explained(path):
    known = papermill.inspect_notebook(str(path))
    assert {"interactive", "smoke"} <= set(known)
    for name, parameter in known.items():
        assert parameter["inferred_type_name"] != "None", name
        assert parameter["help"], name


@every_notebook
def test_the_cell_below_the_parameters_checks_them(path):
    cells = content(path)["cells"]
    at = next(i for i, cell in enumerate(cells) if "parameters" in cell["metadata"].get("tags", []))
    assert "".join(cells[at + 1]["source"]).splitlines()[-1] == "check_parameters(globals())"


@every_notebook
def test_what_a_notebook_begins_with_passes_its_own_check(path):
    source = next(code for code in code_of(path) if code.startswith("interactive: bool"))
    namespace = {"In": [source]}
    exec(source, namespace)
    check_parameters(namespace)


WRITING = [path for path in NOTEBOOKS if 'folder: str = "../' in "\n".join(code_of(path))]


@pytest.mark.parametrize("path", WRITING, ids=lambda path: path.stem)
def test_an_empty_folder_is_refused_before_anything_is_written(path, tmp_path, monkeypatch):
    """An empty one would be the working directory; with /compared behind it, the root of the disk."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grids").symlink_to(ROOT / "notebooks" / "grids")
    namespace = {"In": [], "get_ipython": InteractiveShell}

    def run_cells():
        for code in code_of(path):
            namespace["In"].append(code)
            exec(code, namespace)
            if code.startswith("interactive: bool"):
                namespace.update(SMOKE, folder="")

    with pytest.raises(ValueError, match="a path must be text or a Path; got ''"):
        run_cells()
    assert [one.name for one in tmp_path.iterdir()] == ["grids"]


@pytest.mark.slow
@every_notebook
def test_a_notebook_runs_without_a_screen(path, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    out = content(run(path, tmp_path))
    assert out["metadata"]["papermill"]["exception"] is None


WITH_ANSWERS = [path for path in NOTEBOOKS if 'answers: str = "oracle"' in "\n".join(code_of(path))]


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH_ANSWERS, ids=lambda path: path.stem)
def test_without_a_source_of_answers_a_run_stops_and_says_why(path, tmp_path):
    with pytest.raises(papermill.PapermillExecutionError, match="needs answers"):
        run(path, tmp_path, answers="")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stem", "given", "told"),
    [
        (
            "04_train_a_method",
            {"dataset": "PHOTOS", "backbone": "efficientnet"},
            "Did you mean efficientnet_lite0",
        ),
        (
            "07_your_own_images",
            {"backbone": "efficientnet", "smoke": False},
            "Did you mean efficientnet_lite0",
        ),
        ("06_sweep", {"grid": "grids/nope.yaml", "smoke": False}, "must be a grid that can run"),
        ("08_compare_runs", {"smoke": False}, "must hold at least one finished run"),
        ("10_label_efficiency", {"smoke": False}, "must hold at least one finished run"),
    ],
)
def test_a_slip_in_a_parameter_is_a_sentence_and_leaves_nothing(stem, given, told, tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "0.png")
    given = {name: str(tmp_path / "photos") if value == "PHOTOS" else value for name, value in given.items()}
    with pytest.raises(papermill.PapermillExecutionError, match=told):
        run(ROOT / "notebooks" / f"{stem}.ipynb", tmp_path, queries=0, **given)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_02_leaves_a_round_of_01_that_a_person_is_answering_to_them(tmp_path):
    from dhaps_core.answers.questions import label_oracle
    from dhaps_core.data.sources import digits
    from dhaps_core.hashing.training_settings import TrainingSettings
    from dhaps_core.session.settings import Settings
    from widgets.workbench import Workbench

    settings = Settings(training=TrainingSettings(least=50, most=50))
    items = digits(seed=0)
    session = Workbench(tmp_path / "runs", items, settings).session
    session.train()
    oracle = label_oracle(items)
    for question in session.questions()[:7]:
        session.answer(question, oracle(question), who="me", seconds=2.0)
    before = session.store.watermark()
    out = content(run(ROOT / "notebooks" / "02_chosen_pairs.ipynb", tmp_path))
    assert (session.store.watermark(), session.round) == (before, 1)
    said = json.dumps([cell.get("outputs") for cell in out["cells"]])
    assert (
        "Missing rounds were not run: questions that me was asked must be left to them; 13 of round 1" in said
    )
    assert "Nearest after round 0" in said


@pytest.mark.slow
def test_a_file_of_answers_gives_the_labels_and_picks_of_the_oracle(tmp_path):
    from dhaps_core.answers.store import LabelStore

    path = ROOT / "notebooks" / "01_selection_rounds.ipynb"
    logs, picks = [], []
    for name, answers in (("a", "oracle"), ("b", str(tmp_path / "answers.csv"))):
        folder = tmp_path / name
        folder.mkdir()
        run(path, folder, answers=answers, rounds=2)
        [session] = (folder / "runs").glob("*/")
        with LabelStore(folder / "runs" / "labels.sqlite") as store:
            store.export_csv(tmp_path / "answers.csv")
            logs.append([(a.question, a.keys, a.value) for a in store.answers()])
            assert {a.who for a in store.answers()} == {
                "oracle" if answers == "oracle" else "csv:answers.csv"
            }
        picks.append([json.loads(file.read_text())["pairs"] for file in sorted(session.glob("*/picks.json"))])
    assert logs[0] == logs[1]
    assert len(logs[0]) == 40
    assert picks[0] == picks[1]


@pytest.mark.slow
def test_curves_of_04_are_laid_beside_each_other_by_10(tmp_path):
    path = ROOT / "notebooks" / "04_train_a_method.ipynb"
    for acquisition in ("dhaps", "random"):
        (folder := tmp_path / "runs" / acquisition).mkdir(parents=True)
        run(path, folder, acquisition=acquisition, method="piq", budget="4, 8, 16")
        rounds = json.loads((folder / "runs" / "metrics.json").read_text())["rounds"]
        assert [row["answers"] for row in rounds] == [0, 4, 8, 16]
    path = ROOT / "notebooks" / "10_label_efficiency.ipynb"
    run(path, tmp_path, out=str(tmp_path / "out"), smoke=False)
    written = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert written == ["curves piq, classes.png", "differences piq, classes.png", "efficiency.md"]
    text = (tmp_path / "out" / "efficiency.md").read_text()
    assert "## piq, classes" in text
    assert "| scikit-learn digits, 32 bits |" in text


@pytest.mark.slow
def test_04_runs_the_paper_to_the_letter_by_one_name_and_its_row_tells_what_goes_before_it(tmp_path):
    from dhaps_core.paper.measured import read_table_runs

    path = ROOT / "notebooks" / "04_train_a_method.ipynb"
    for name, mmd in (("literal", -1.0), ("less", 0.0)):
        (tmp_path / name).mkdir()
        run(path, tmp_path / name, preset="paper", mmd=mmd, budget="1%", rounds=2, bits=12)
    less, literal = read_table_runs(tmp_path)
    assert (literal.row, less.row) == ("DH-APS (literal) (1%)", "DH-APS (literal, no MMD_S) (1%)")
    assert literal.labels == less.labels == 16
    assert literal.table["preset"] == "paper"
    assert literal.last["losses"].keys() == {"likelihood", "quantisation", "mmd"}
    given = {"interactive": False, "folder": str(tmp_path), "bits": 12}  # no row of its `rows` is there
    path = ROOT / "notebooks" / "05_table1.ipynb"
    papermill.execute_notebook(path, tmp_path / "05.ipynb", given, cwd=path.parent, progress_bar=False)
    assert "DH-APS (literal) (1%)" in (tmp_path / "table1.md").read_text()


LESSONS = [path for path in NOTEBOOKS if "widgets.lessons" in "\n".join(code_of(path))]
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def exercises_of(notebook):
    """Cells with an exercise, each with the solution that is folded into the cell above it."""
    folded = re.compile(r"<details><summary>Solution</summary>\n\n```python\n(.*?)```\n", re.DOTALL)
    for above, cell in itertools.pairwise(notebook["cells"]):
        if "exercise" in cell["metadata"].get("tags", []):
            [solution] = folded.findall("".join(above["source"]))
            yield cell, solution


def outputs_of(notebook):
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def said_by(notebook):
    assert [output for output in outputs_of(notebook) if output.get("name") == "stderr"] == []
    return "".join("".join(output.get("text", [])) for output in outputs_of(notebook))


@every_lesson
def test_a_lesson_takes_twenty_minutes(path):
    text = "\n".join("".join(cell["source"]) for cell in content(path)["cells"])
    assert sum(map(int, re.findall(r"^(?:##.*|\*\*Exercise.*?)\((\d+) min\)", text, re.MULTILINE))) == 20


@every_lesson
def test_an_exercise_is_open_and_its_solution_is_folded(path):
    found = list(exercises_of(content(path)))
    assert len(found) == 2
    for cell, solution in found:
        assert "".join(cell["source"]).count("mine = ...\n") == 1
        assert "mine = " in solution


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@every_lesson
def test_a_lesson_with_its_solutions_filled_in_is_right_everywhere(path, tmp_path, seed):
    notebook = content(path)
    for cell, solution in exercises_of(notebook):
        cell["source"] = "".join(cell["source"]).replace("mine = ...\n", solution)
    solved = tmp_path / "solved" / path.name
    solved.parent.mkdir()
    solved.write_text(json.dumps(notebook), encoding="utf-8")
    said = said_by(content(run(solved, tmp_path, seed=seed)))
    assert said.count("✓ right: ") == 2
    assert "✗" not in said
    assert "left open" not in said


@pytest.mark.slow
@every_lesson
def test_a_lesson_nobody_has_solved_runs_through_and_says_what_is_open(path, tmp_path):
    out = content(run(path, tmp_path, lecture=True))
    said = said_by(out)
    assert said.count("… left open") == 2
    assert said.count("✓") >= 5
    switch, *figures = ["".join(one["data"]["text/html"]) for one in outputs_of(out) if "data" in one]
    assert '<input type="checkbox" checked>' in switch
    assert all("<svg" in figure for figure in figures)

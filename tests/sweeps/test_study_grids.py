"""The grids of the study: each is read, and every run of it is planned and accepted by the settings."""

from collections import Counter

import pytest

from dhaps_core.acquisition.strategies import STRATEGIES
from dhaps_core.sweeps.grid import read_grid
from tests.sweeps.given import NOTEBOOKS, POOLS, made_data, name_of, planned

GRIDS = sorted((NOTEBOOKS / "grids").glob("efficiency_*.yaml"))
SEVERAL_CLASSES = {"scenes_efflite0_224px_pca256.npz"}
READ_ONE_CLASS = {"badge", "margin", "uherding", "dropquery"}

every_grid = pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    made_data(tmp_path, monkeypatch)


def test_wrong_answers_have_a_grid_of_their_own():
    cells = read_grid(NOTEBOOKS / "grids/wrong_answers_digits.yaml").cells
    assert Counter(cell.parameters["erring"] for cell in cells) == dict.fromkeys([0.0, 0.01, 0.05, 0.1], 10)
    (_, settings), ends = planned(cells[0]), budgets(cells[0])
    assert (settings.question, settings.picks_of(3)) == ("pairs", 20)
    assert ends == [20 * number for number in range(1, 8)]


def budgets(cell):
    return [int(number) for number in cell.parameters["budget"].split(",")]


def test_there_is_a_grid_for_each_data_set():
    assert {name_of(cell) for path in GRIDS for cell in read_grid(path).cells} == set(POOLS)


@every_grid
def test_every_run_of_a_study_is_accepted_by_its_settings(path, capsys):
    for cell in read_grid(path).cells:
        (_, settings), ends = planned(cell), budgets(cell)
        per_pick = {"classes": 2, "pairs": 1}[settings.question]
        assert settings.method == cell.parameters["method"]
        assert settings.budget_answers == ends[-1]
        rounds = range(1, len(ends) + 1)
        asked = [per_pick * settings.picks_of(number) for number in rounds]
        assert [sum(asked[:number]) for number in rounds] == ends
        if settings.question == "classes":
            assert (ends[0], ends[-1] / POOLS[name_of(cell)]) == (10, pytest.approx(0.1, abs=0.002))


@every_grid
def test_every_strategy_and_random_stand_on_the_same_seeds_and_budgets(path):
    cells = read_grid(path).cells
    seeds = 5 if "cifar" in path.stem else 10
    counts = Counter(
        (
            cell.parameters["question"],
            cell.parameters["method"],
            cell.parameters["acquisition"],
            *budgets(cell),
        )
        for cell in cells
    )
    assert set(counts.values()) == {seeds}
    of = {key[:2]: {one[2] for one in counts if one[:2] == key[:2]} for key in counts}
    unread = READ_ONE_CLASS if name_of(cells[0]) in SEVERAL_CLASSES else set()
    assert of.pop(("classes", "auto")) == set(STRATEGIES) - unread
    some = {"dhaps", "random", "maxherding"}
    assert (of.pop(("classes", "dpsh")), of.pop(("classes", "pts3h"))) == (some, some)
    assert of == ({("pairs", "auto"): {"dhaps", "random"}} if path.stem == "efficiency_digits" else {})

"""The grids of Table 1: every run is planned and accepted by the settings, and every row is there."""

from collections import defaultdict

import pytest

from dhaps_core.paper.table import ROWS
from dhaps_core.sweeps.grid import read_grid
from tests.sweeps.given import NOTEBOOKS, POOLS, made_data, name_of, planned

GRIDS = sorted((NOTEBOOKS / "grids").glob("table1_*.yaml"))
LENGTHS = (12, 24, 32, 48)
HEADLINES = {
    *(row.name for row in ROWS),
    *(f"DH-APS (literal) ({budget})" for budget in ("1%", "10%")),
    *(f"DH-APS+ours ({budget})" for budget in ("1%", "10%")),
    *(f"dpsh random {budget}, with MMD_S" for budget in ("1%", "10%")),
}
VARIED = ("literal, no MMD_S", "no MMD_S", "no similarity term", "one shot", "one shot, no MMD_S")
TERMS = ("", ", no similarity term", ", no similarity term, with MMD_S")
AT_32 = {
    *(f"DH-APS ({words}) ({budget})" for words in VARIED for budget in ("1%", "10%")),
    *(f"dpsh random {budget}{words}" for words in TERMS for budget in ("1%", "10%")),
    *("DH-APS (literal) (*)", "DH-APS (literal) (30%)", "DH-APS (one shot) (30%)"),
    *("dpsh random 30%, with MMD_S", "dsh random 10%", "sdsh random 10%"),
}


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_every_row_is_run_with_three_seeds_up_to_ten_percent_and_the_headlines_at_every_length(
    path, tmp_path, monkeypatch
):
    made_data(tmp_path, monkeypatch)
    seeds, pool, grid = defaultdict(list), 0, read_grid(path)
    assert f"# {len(grid.cells)} runs" in grid.text
    for cell in grid.cells:
        todo, settings = planned(cell)
        pool = POOLS[name_of(cell)]
        seeds[todo.row, settings.bits].append((settings.seed, todo.labelled / pool))
        assert settings.budget_items == todo.labelled
        assert cell.parameters["rounds"] == 1 or todo.rounds in {0, 1, 4, 5}
    assert seeds.keys() == {(row, bits) for row in HEADLINES for bits in LENGTHS} | {
        (row, 32) for row in AT_32
    }
    for key, runs in seeds.items():
        found = [seed for seed, _ in runs]
        assert found in ([0], [0, 1, 2]), key
        if pool < 5000 or (key[1] == 32 and max(share for _, share in runs) < 0.11):
            assert found == [0, 1, 2], key


def test_the_grids_differ_in_their_data_alone():
    texts = [path.read_text().split("blocks:\n")[1] for path in GRIDS if path.stem != "table1_scenes"]
    assert len(set(texts)) == 1

"""What a run labels: budgets, rows, and what is refused before anything runs."""

import pytest

from dhaps_core.data.sources import open_items
from dhaps_core.hashing.methods import METHODS
from dhaps_core.paper.plan import plan
from dhaps_core.paper.rows import row_name
from dhaps_core.paper.table import DATASETS, ROWS, STAR_SHARES, normal_budget
from dhaps_core.session.settings import Settings


def make(
    method="dpsh",
    acquisition="dhaps",
    budget="10%",
    *,
    stands_for="CIFAR-10",
    pool=1000,
    listed=None,
    rounds=1,
    **more,
):
    settings = Settings.preset("usual", method=method, **{"reading": "closed", "mmd": 1.0} | more)
    sizes = {"pool": pool, "listed": listed, "rounds": rounds}
    return plan(settings, acquisition, budget, stands_for=stands_for, **sizes)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("data", DATASETS)
def test_every_row_of_the_table_can_be_planned(row, data):
    mmd = float(row.acquisition == "dhaps")
    found = make(row.method, row.acquisition, row.budget, stands_for=data, pool=50_000, rounds=5, mmd=mmd)
    assert found.row == row.name
    share = {"none": 0, "all": 1}.get(row.acquisition)
    expected = STAR_SHARES[data] if row.budget == "*" else float(row.budget.strip("%")) / 100
    assert found.labelled == pytest.approx(50_000 * (expected if share is None else share), abs=1)


def test_a_budget_is_divided_among_the_rounds():
    found = make(pool=1597, rounds=4)
    assert (found.labelled, found.picks, found.rounds) == (160, 20, 4)
    assert found.told == "pairs, from the classes of 160 of 1597 items"
    everything = make(acquisition="all", budget="not read", pool=1597, rounds=4)
    assert (everything.labelled, everything.rounds) == (1597, 1)
    nothing = make(acquisition="none", budget="not read", mmd=0.0)
    assert (nothing.labelled, nothing.rounds, nothing.row) == (0, 0, "dpsh none")
    assert nothing.told == "no labels: dpsh has only the similarity term"


def test_a_list_of_budgets_is_a_round_for_each():
    found = make(budget="10, 20,40 ,80", pool=1597)
    assert (found.schedule, found.answers, found.labelled) == ((5, 5, 10, 20), 80, None)
    assert (found.rounds, found.picks, found.row) == (4, 5, "dpsh dhaps")
    assert found.told == "pairs, from the classes of 80 of 1597 items"
    found = make(budget="40, 80, 145", question="pairs", pool=100)  # more answers than items may be given
    assert (found.schedule, found.answers, found.told) == (
        (40, 40, 65),
        145,
        "pairs, from 145 answers about pairs",
    )
    found = make(budget="40, 80", question="both", pool=100)
    assert (found.schedule, found.told) == ((40, 40), "pairs, from 80 answers about items and pairs")


@pytest.mark.parametrize(
    ("acquisition", "budget", "labelled"),
    [
        ("dhaps", "*", 5_000),
        ("random", "*", 5_000),
        ("dhaps", "1%", 500),
        ("random", "10%", 5_000),
        ("dhaps", "30%", 15_000),
        ("all", "100%", 5_000),
        ("none", "0", 0),
    ],
)
def test_labels_under_the_protocols_of_cifar_with_a_labelled_set(acquisition, budget, labelled):
    """Pool 59,000, labelled set 5,000: a percentage is of the 50,000 training images, `*` of the pool."""
    found = make(acquisition=acquisition, budget=budget, pool=59_000, listed=5_000)
    assert found.labelled == labelled
    if labelled:
        assert found.told == f"pairs, from the classes of {labelled} of 59000 items"


@pytest.mark.parametrize(
    ("data", "pool", "labelled"), [("NUS-WIDE", 193_734, 10_500), ("ImageNet-100", 128_503, 10_000)]
)
def test_the_star_is_the_published_number_of_labels(data, pool, labelled):
    assert make(budget="*", stands_for=data, pool=pool).labelled == labelled
    assert make(budget="1%", stands_for=data, pool=pool).labelled == 2 * round(pool / 200)


@pytest.mark.parametrize(("pool", "labelled"), [(7, 6), (3, 2), (8, 8)])
def test_no_more_items_are_labelled_in_pairs_than_there_are(pool, labelled):
    found = make(budget="100%", stands_for="", pool=pool)
    assert (found.labelled, found.picks) == (labelled, labelled // 2)


@pytest.mark.parametrize(
    ("written", "normal"),
    [("10 %", "10%"), ("1.0%", "1%"), (" 0.5%", "0.5%"), ("*", "*"), ("33.3333333%", "33.3333333%")],
)
def test_budgets_are_read_however_they_are_spaced(written, normal):
    assert normal_budget(written) == normal
    settings = Settings(method="dpsh").to_json()
    assert row_name(settings, "random", written, 1) == f"dpsh random {normal}"


@pytest.mark.parametrize(
    "wrong",
    [
        "150%",
        "-5%",
        "0%",
        "abc",
        "",
        "0.1",
        "10",
        "1e1%",
        "%",
        10,
        0.1,
        None,
        True,
        "nan%",
        "inf%",
        "1 0%",
        "١٠%",
    ],
)
def test_other_budgets_are_refused(wrong, unchecked):
    with pytest.raises(ValueError, match=r"above 0% and up to 100%, or \*; got .* Write it as in 10%"):
        make(budget=wrong)


def test_rounds_are_those_that_the_pairs_suffice_for():
    assert (make(pool=100, rounds=4).picks, make(pool=100, rounds=4).rounds) == (2, 3)  # 2 + 2 + 1 pairs
    assert (make(pool=100, rounds=9).picks, make(pool=100, rounds=9).rounds) == (1, 5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"budget": "10, 25"},
            "the answers after each round must grow by 2, or a multiple of it; got 10, 25",
        ),
        ({"budget": "20, 20"}, "the answers after each round must grow by 2"),
        ({"budget": "20, 40, 20"}, "the answers after each round must grow by 2"),
        ({"budget": "0, 20"}, "the answers after each round must grow by 2"),
        ({"budget": "10, 20,"}, "budget must be a share of the pool"),
        ({"budget": "10, 1002"}, "budget must end within the pool's 1000 items; got 1002"),
        ({"budget": "10, 10", "question": "pairs"}, "must grow by 1"),
        ({"question": "pairs"}, "the budget of pair answers must be a list of how many .*; got '10%'"),
        ({"question": "pairs", "acquisition": "all"}, "the budget of pair answers must be a list"),
        ({"question": "pair"}, "question must be one of classes, pairs, both; got 'pair'"),
        ({"rounds": 2.5}, r"rounds must be a whole number; got 2\.5 \(float\)"),
        ({"rounds": True}, r"rounds must be a whole number; got True \(bool\)"),
        ({"rounds": "2"}, r"rounds must be a whole number; got '2' \(str\)"),
        ({"method": "dpshh"}, "method must be one of .*; got 'dpshh'"),
        ({"acquisition": "best"}, "acquisition must be one of dhaps, .*, all, none; got 'best'"),
        ({"acquisition": "dhasp"}, "got 'dhasp'. Did you mean dhaps?"),
        ({"stands_for": "NUSWIDE"}, "stands_for must be one of .*; got 'NUSWIDE'"),
        ({"rounds": 0}, "rounds must be at least 1; got 0. To label nothing, set acquisition to none"),
        ({"budget": "0.01%"}, "at least one pair of the pool's 1000 items; got 0.01%. Label more"),
        ({"budget": "*", "stands_for": ""}, r"the budget \* must be that of a data set of the paper"),
        ({"method": "dh"}, "dh reads no labels: its acquisition must be none; got 'dhaps'. Set it"),
        ({"method": "graphbit", "acquisition": "all"}, "graphbit reads no labels"),
    ],
)
def test_what_cannot_run_is_refused(wrong, message, unchecked):
    with pytest.raises(ValueError, match=message):
        make(**wrong)


def test_every_method_that_reads_labels_trains_on_whatever_was_chosen():
    for name, method in METHODS.items():
        if method.labels != "none":
            assert {make(name, acquisition).labelled for acquisition in ("dhaps", "random")} == {100}


def test_a_data_set_is_opened_by_what_is_there(tmp_path):
    assert open_items("digits", queries=1000, seed=0).source == "scikit-learn digits"
    with pytest.raises(
        ValueError, match=r"or a path that exists; got 'digit', and nothing at /.*/digit\. Check"
    ):
        open_items("digit", queries=10, seed=0)
    with pytest.raises(ValueError, match="seed must be at least 0; got -1"):
        open_items("digits", queries=10, seed=-1)
    with pytest.raises(ValueError, match="a folder must hold at least one readable image"):
        open_items(str(tmp_path), queries=0, seed=0)

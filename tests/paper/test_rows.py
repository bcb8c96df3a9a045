"""Names of rows tell what was run: ours by default, literal, and each thing that departs from either."""

import pytest

from dhaps_core.acquisition.problem import Weights
from dhaps_core.paper.rows import printed_name, row_name, variety_of, with_variety
from dhaps_core.paper.table import ROWS
from dhaps_core.session.settings import Settings

OURS = {"preset": "usual", "method": "dpsh", "reading": "closed", "mmd": 1.0}
PAPER = {"preset": "paper"}


def name(acquisition="dhaps", budget="10%", rounds=5, **given):
    settings = Settings.preset(given.pop("preset"), **given)
    return row_name(settings.to_json(), acquisition, budget, rounds)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (OURS, "DH-APS (10%)"),
        (OURS | {"rounds": 1}, "DH-APS (one shot) (10%)"),
        (OURS | {"mmd": 0.0}, "DH-APS (no MMD_S) (10%)"),
        (OURS | {"mmd": 0.0, "rounds": 1}, "DH-APS (one shot, no MMD_S) (10%)"),
        (OURS | {"mmd": 0.5}, "DH-APS (MMD_S 0.5) (10%)"),
        (OURS | {"similarity": 0.0}, "DH-APS (no similarity term) (10%)"),
        (OURS | {"similarity": 0.3}, "DH-APS (similarity 0.3) (10%)"),
        (OURS | {"space": "codes", "beta": 2.0}, "DH-APS (space codes, beta 2) (10%)"),
        (OURS | {"bandwidth_scale": 0.3}, "DH-APS (bandwidth_scale 0.3) (10%)"),
        (OURS | {"weights": Weights(0.0, 1.0, 1.0)}, "DH-APS (weights 0/1/1) (10%)"),
        (OURS | {"weights": Weights(0.03, 1.0, 1.0), "calibrated": False}, "DH-APS (10%)"),  # as usual
        (OURS | {"calibrated": True}, "DH-APS (calibrated yes) (10%)"),
        (PAPER, "DH-APS (literal) (10%)"),
        (PAPER | {"rounds": 1}, "DH-APS (literal, one shot) (10%)"),
        (PAPER | {"mmd": 0.0}, "DH-APS (literal, no MMD_S) (10%)"),
        (PAPER | {"kernel": "invariant"}, "DH-APS (published, kernel invariant) (10%)"),
        (PAPER | {"weights": Weights(0.0, 1.0, 1.0)}, "DH-APS (published, weights 0/1/1) (10%)"),
        (PAPER | {"weights": Weights(1.0, 1.0, 1.0)}, "DH-APS (literal) (10%)"),
        (PAPER | {"calibrated": True}, "DH-APS (published, calibrated yes) (10%)"),
        (PAPER | {"similarity": 1.0}, "DH-APS (published) (10%)"),
        (PAPER | {"similarity": 0.5}, "DH-APS (published, similarity 0.5) (10%)"),
        (PAPER | {"method": "pts3h", "budget": "*"}, "DH-APS+PTS3H (literal)"),
        (OURS | {"method": "pts3h", "budget": "*", "rounds": 1}, "DH-APS+PTS3H (one shot)"),
        (OURS | {"method": "dsh"}, "dsh dhaps 10%"),
        (OURS | {"acquisition": "random"}, "dpsh random 10%, with MMD_S"),
        (OURS | {"acquisition": "random", "mmd": 0.0}, "dpsh random 10%"),
        (PAPER | {"acquisition": "random"}, "dpsh random 10%, no similarity term, with MMD_S"),
        (OURS | {"acquisition": "all", "mmd": 0.0}, "DPSH"),
        ({"preset": "usual", "method": "dpsh", "acquisition": "typiclust"}, "dpsh typiclust 10%, 5 rounds"),
        ({"preset": "usual", "rounds": 1}, "DH-APS+ours (10%)"),
        ({"preset": "usual"}, "DH-APS+ours (10%), 5 rounds"),
        ({"preset": "usual", "weights": Weights(0.0), "rounds": 1}, "DH-APS+ours (10%), weights 0/1/1"),
        ({"preset": "usual", "method": "dpsh", "rounds": 1}, "dpsh covered 10%"),
    ],
)
def test_the_name_of_a_row_tells_what_was_run(given, expected):
    given = dict(given)
    acquisition = given.pop("acquisition", "dhaps")
    assert name(acquisition, **given) == expected


def test_from_images_the_usual_similarity_term_weighs_less_and_is_not_named():
    assert name(**OURS, side=32) == "DH-APS (10%)"
    assert name(**OURS, side=32, similarity=1.0) == "DH-APS (similarity 1) (10%)"


def test_a_run_of_before_there_were_these_settings_was_ours_without_mmd():
    old = {"method": "dpsh", "training": {"similarity": 1.0}}
    assert row_name(old, "dhaps", "1%", 1) == "DH-APS (one shot, no MMD_S) (1%)"


@pytest.mark.parametrize("variety", ["literal", "one shot, no MMD_S", "MMD_S 0.5, space codes"])
def test_varieties_are_told_from_names_and_taken_off_again(variety):
    for row in ROWS:
        varied = with_variety(row.name, variety)
        assert printed_name(varied) == row.name
        assert variety_of(varied) == (variety if row.acquisition == "dhaps" else "")
        assert variety_of(row.name) == ""
        assert with_variety(row.name, "") == row.name

"""From a folder of photographs to a search elsewhere, and back after files came and went: the whole path."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from dhaps_core.answers.store import LabelStore
from tests.browser.lab import ROOT, Notebook, missing
from tests.browser.test_browser import check_quiet
from tests.browser.test_cockpit import answer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
PHOTOS = "07_your_own_images.ipynb"
SIDE = 96  # pixels of a photograph
IMAGES = load_sample_images().images
# image, and the left and the upper edge of where its patches begin, pixels
PLACES = {"tower": (0, 90, 110), "sky": (0, 360, 10), "petal": (1, 200, 120), "leaf": (1, 0, 60)}
FIND = """
import json, sys
from dhaps_core import load
found = load(sys.argv[1])
print(json.dumps([len(found), [hit.key for hit in found.search(sys.argv[2], 10, rerank=50)]]))
"""
FAISS = """
import json, sys, faiss, numpy as np
index = faiss.read_index_binary(sys.argv[1] + "/index.faiss")
keys = json.load(open(sys.argv[1] + "/keys.json"))
row = keys.index(sys.argv[2])
_, rows = index.search(index.reconstruct_n(row, 1), 10)
assert "dhaps_core" not in sys.modules and "torch" not in sys.modules
print(json.dumps([keys[i] for i in rows[0]]))
"""


def photograph(what, number):
    """A patch of one of scikit-learn's two photographs, from one part of it, in light of its own."""
    rng = np.random.default_rng([number, *what.encode()])
    image, left, top = PLACES[what]
    left, top = (start + int(rng.integers(0, 50)) for start in (left, top))
    patch = IMAGES[image][top : top + SIDE, left : left + SIDE]
    return Image.fromarray(np.clip(patch * rng.uniform(0.8, 1.2), 0, 255).astype(np.uint8))


def photographs(folder, numbers):
    """What each of some files shows, whose names do not tell."""
    folder.mkdir(exist_ok=True)
    shown = {f"IMG_{number:04}.png": list(PLACES)[number * 7 // 3 % len(PLACES)] for number in numbers}
    for number, (name, what) in zip(numbers, shown.items(), strict=True):
        photograph(what, number).save(folder / name)
    return shown


def environment(folder):
    """The Python of another environment, with the core and what that needs, and no cards or checkout."""
    venv.create(folder)
    [packages] = folder.glob("lib/python*/site-packages")
    shutil.copytree(ROOT / "dhaps_core", packages / "dhaps_core")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


def told(python, code, *words):
    """What code prints in a process that knows nothing of this one."""
    command = [str(python), "-I", "-c", code, *map(str, words)]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def test_a_folder_is_labelled_searched_taken_along_and_opened_again_when_it_has_changed(lab, page, tmp_path):
    images, out = lab.project / "photographs", lab.project / "runs" / "your_own_images"
    shown = photographs(images, range(300))
    new = tmp_path / "new.png"
    photograph("petal", 1000).save(new)
    lab.set_parameters(PHOTOS, smoke=True, images="../photographs", photograph=str(new))
    notebook = Notebook(lab, page, PHOTOS)
    notebook.run_all()
    notebook.card.locator(".dhaps-pair").wait_for()
    notebook.card.locator(".dhaps-ask").click()  # the first and last click
    for number in (1, 2, 3):
        while not notebook.card.locator(".dhaps-closed").count():
            answer(notebook, shown[notebook.card.locator(".dhaps-framed .dhaps-key").text_content()])
        page.wait_for_timeout(220)
        page.keyboard.press("r")
        notebook.card.get_by_text(f"Round {number + 1}", exact=True).wait_for()
        notebook.card.locator(".dhaps-pair").wait_for()
    with LabelStore(out / "runs" / "labels.sqlite") as store:
        answers = store.answers()
    assert len(answers) >= 60
    assert all(one.value == (shown[one.keys[0]],) for one in answers)

    notebook.run_all()  # again, as one does: what is below the cockpit shows the last round
    page.get_by_text("likeliest: petal").wait_for()
    taken = shutil.move(out / "result", tmp_path / "taken")
    python = environment(tmp_path / "elsewhere")
    count, keys = told(python, FIND, taken, new)
    assert count == 300
    assert [shown[key] for key in keys] == ["petal"] * 10
    near = told(sys.executable, FAISS, taken, keys[0])
    assert {shown[key] for key in near} == {"petal"}

    notebook.command("docmanager:save")
    page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")
    check_quiet(notebook)
    named = [one.keys[0] for one in answers]
    unnamed = [name for name in shown if name not in named]
    for name in (*named[:2], *unnamed[:8]):
        (images / name).unlink()
        del shown[name]
    for name in (*named[2:4], *unnamed[8:11]):
        (images / name).rename(images / f"again {name}")
        shown[f"again {name}"] = shown.pop(name)
    later = photographs(images, range(300, 315))
    shown |= later
    again = Notebook(lab, page, PHOTOS)
    again.run_all()
    # JupyterLab's own word on the cards that were saved, until the cells have run.
    again.errors[:] = [one for one in again.errors if "widget model not found" not in one]
    page.get_by_text(
        f"15 images new, 10 gone, 5 renamed; {len(answers) - 2} of {len(answers)} answers count "
        "(2 about files that are gone); a new run begins"
    ).first.wait_for()
    again.card.locator(".dhaps-pair").wait_for()
    again.card.get_by_text(f"answers {len(answers) - 2}", exact=True).wait_for()
    framed = again.card.locator(".dhaps-framed .dhaps-key").text_content()
    assert framed not in {*named, *(f"again {name}" for name in named)}  # nobody is asked twice
    page.get_by_text("likeliest: petal").wait_for()
    name, what = next(iter(later.items()))
    count, keys = told(python, FIND, out / "result", images / name)
    assert count == len(shown) == 305
    assert name in keys
    assert {shown[key] for key in keys} == {what}
    check_quiet(again)

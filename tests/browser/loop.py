"""The loop as a moving picture for README and site: ``python -m tests.browser.loop [FILE]``.

A person names digits in notebook 01, in a real JupyterLab; each frame is the cockpit after some answers.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from dhaps_core.data.sources import digits
from tests.browser.lab import ROOT, Lab, Notebook, browser_page
from tests.browser.test_browser import NAME

ROUNDS, SIZE = 3, (1100, 640)
SECONDS = {"question": 0.9, "round": 2.6}


def main(file):
    labels = digits(seed=0).labels
    with tempfile.TemporaryDirectory(prefix="lab") as folder:
        lab = Lab(Path(folder))
        try:
            with browser_page(height=1250, scale=1) as page:
                lab.set_parameters(NAME, who="anna", picks=4)
                page.set_viewport_size({"width": 1900, "height": 1200})
                frames = list(answering(Notebook(lab, page, NAME), labels))
        finally:
            lab.close()
    pictures = [picture.quantize(64, dither=Image.Dither.NONE) for _, picture in frames]
    durations = [int(1000 * SECONDS[kind]) for kind, _ in frames]
    pictures[0].save(file, save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=True)
    print(f"{file.name}: {len(frames)} frames, {file.stat().st_size / 1000:.0f} kB")


def answering(notebook, labels):
    """Frames: some questions of every round, and what the round changed."""
    notebook.run_all()
    notebook.page.locator('.dhaps-map[data-ready="1"]').wait_for()
    for number in range(1, ROUNDS + 1):
        for pair in range(4):
            if pair in (0, 2):
                yield "question", frame(notebook)
            notebook.card.focus()
            for key in notebook.shown():
                notebook.page.wait_for_timeout(260)
                notebook.page.keyboard.press(str(labels[int(key)]))
            notebook.page.wait_for_timeout(1200)
        notebook.page.keyboard.press("r")
        notebook.card.get_by_text(f"Round {number + 1}").first.wait_for()
        notebook.page.wait_for_timeout(8000)  # the map and the curves of the round
        yield "round", frame(notebook)


def frame(notebook):
    """The cockpit as it is."""
    cockpit = notebook.page.locator(".dhaps-cockpit")
    cockpit.evaluate("box => box.scrollIntoView({ block: 'start' })")
    notebook.page.wait_for_timeout(500)
    picture = Image.open(io.BytesIO(cockpit.screenshot())).convert("RGB")
    width = SIZE[0]
    scaled = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    paper = Image.new("RGB", SIZE, "white")
    paper.paste(scaled)
    return paper


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/screenshots/loop.gif")

"""The loop as a moving picture for the site: ``python -m tests.browser.loop [FILE]``.

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

ROUNDS, PICKS, SIZE = 3, 4, (1100, 640)
SECONDS = {"question": 0.9, "round": 2.6}


def main(file):
    labels = digits(seed=0).labels
    with tempfile.TemporaryDirectory(prefix="lab") as folder:
        lab = Lab(Path(folder))
        try:
            with browser_page(height=1250, scale=1) as page:
                lab.set_parameters(NAME, who="anna", picks=PICKS)
                page.set_viewport_size({"width": 1900, "height": 1200})
                frames = list(answering(Notebook(lab, page, NAME), labels))
        finally:
            lab.close()
    pictures = [picture.quantize(64, dither=Image.Dither.NONE) for _, picture in frames]
    durations = [int(1000 * SECONDS[kind]) for kind, _ in frames]
    rest = {"append_images": pictures[1:], "duration": durations, "loop": 0}
    pictures[0].save(file, save_all=True, optimize=True, **rest)
    print(f"{file.name}: {len(frames)} frames, {file.stat().st_size / 1000:.0f} kB")


def answering(notebook, labels):
    """Frames: some questions of every round, and what the round changed."""
    notebook.run_all()
    notebook.page.locator('.dhaps-map[data-ready="1"]').wait_for()
    for number in range(1, ROUNDS + 1):
        notebook.card.locator(".dhaps-pair").wait_for()
        notebook.card.focus()
        for answers in range(2 * PICKS):
            if answers in (0, PICKS):
                yield "question", frame(notebook)
            framed = notebook.card.locator(".dhaps-framed .dhaps-key").text_content()
            notebook.press(str(labels[int(framed)]))
        notebook.page.wait_for_timeout(1200)  # the card takes no press before anybody can have looked
        notebook.page.keyboard.press("r")
        notebook.card.get_by_text(f"Round {number + 1}").first.wait_for()
        notebook.page.wait_for_timeout(8000)  # the map and the curves of the round
        yield "round", frame(notebook)


def frame(notebook):
    """The cockpit as it is."""
    cockpit = notebook.page.locator(".dhaps-cockpit")
    notebook.page.wait_for_timeout(1000)  # neighbours of the pair
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

"""A small collection of image files, a finished run of it, and its result folder."""

import re

import numpy as np
from PIL import Image

from dhaps_core.data.sources import image_folder
from dhaps_core.hashing.backbones import pixels
from dhaps_core.hashing.encoder import embedded
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings

COLOURS = {"red": (200, 40, 40), "green": (40, 190, 60), "blue": (50, 60, 210)}


def picture(colour, number):
    """A noisy picture of one colour, 40 x 30 pixels; the same for the same number."""
    noise = np.random.default_rng(number).normal(scale=25, size=(30, 40, 3))
    return Image.fromarray(np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8))


def write_pictures(folder, each=12, start=0):
    """Files such as red07.png; their class is in their name alone."""
    folder.mkdir(parents=True)
    for colour in COLOURS:
        for i in range(start, start + each):
            picture(colour, i).save(folder / f"{colour}{i:02}.png")
    return folder


def colour_of(key):
    return re.match("[a-z]+", key)[0]


def answered(session):
    """A session after one more round, answered by the names of the files."""
    if session.round:
        for question in session.questions():
            session.answer(question, colour_of(question.keys[0]), who="anna", seconds=1.0)
    session.train()
    return session


def run_of_pictures(base, settings=None, rounds=2, start=0):
    """(items, encoder, session) with a result beside the run."""
    items = image_folder(write_pictures(base / "images", start=start), queries=0, seed=0)
    items, encoder = embedded(items, pixels(4), cache=base / "embeddings", dims=16)
    settings = settings or Settings(bits=16, picks=3)
    session = ActiveSession(base / "run", items, settings, result=base / "result", encoder=encoder)
    while session.round < rounds:
        answered(session)
    return items, encoder, session

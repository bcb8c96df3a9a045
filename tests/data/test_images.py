"""Sequences of images are lazy, know what they held, and give small pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from dhaps_core.data.decoding import UnreadableImage
from dhaps_core.data.images import ArrayImages, FileImages


def encoded(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def test_thumbnails_keep_aspect_and_never_grow():
    images = ArrayImages(np.zeros((1, 8, 400, 3), np.uint8))

    def size(i, pixels, images=images):
        return Image.open(io.BytesIO(images.thumbnail(i, pixels))).size

    assert size(0, 100) == (100, 2)
    assert size(0, 20) == (20, 1)
    assert size(0, 1000) == (400, 8)


def test_file_images_are_lazy_and_know_their_content(tmp_path):
    names = ["图像 #1 %20.PNG", "no_extension", "b.jpg"]
    for name, colour in zip(names, ("red", "red", "blue"), strict=True):
        (tmp_path / name).write_bytes(encoded(Image.new("RGB", (3, 2), colour)))
    files = FileImages(names, [tmp_path / name for name in names])
    assert files.check() == ()
    assert files[0].tolist() == [[[255, 0, 0]] * 3] * 2
    first, second, third = files.digests()
    assert first == second != third
    assert files.subset([2, 0]).digests() == (third, first)
    assert FileImages(names, files.paths).digests() == files.digests()
    files.paths[0].write_bytes(encoded(Image.new("RGB", (3, 2), "green")))
    for _ in range(2):
        with pytest.raises(UnreadableImage, match=r"it has changed since it was listed"):
            files[0]
    assert [key for key, _ in files.check()] == names[:1]
    files.paths[0].write_bytes(encoded(Image.new("RGB", (3, 2), "red")))
    files.paths[2].unlink()
    with pytest.raises(UnreadableImage, match=r"b.jpg"):
        files[2]
    assert [key for key, _ in files.check()] == ["b.jpg"]

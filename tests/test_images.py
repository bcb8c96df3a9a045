"""Image files of every kind become right pixels or a clear error."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dhaps_core.images import ArrayImages, FileImages, UnreadableImage, to_rgb8


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def awkward():
    root = os.environ.get("DHAPS_DATA")
    if root is None or not (Path(root) / "awkward").is_dir():
        pytest.skip("DHAPS_DATA does not name a folder with awkward/")
    return Path(root) / "awkward"


# --- values worked by hand ----------------------------------------------------------------------------------


def test_alpha_is_composited_not_dropped():
    half_red = encoded(Image.new("RGBA", (1, 1), (255, 0, 0, 51)))  # alpha 51 / 255 = 1 / 5
    assert to_rgb8(half_red).tolist() == [[[255, 204, 204]]]
    assert to_rgb8(half_red, background=(0, 0, 0)).tolist() == [[[51, 0, 0]]]


def test_colour_keys_and_grey_alpha_are_transparent():
    rgb = encoded(Image.new("RGB", (1, 1), (1, 2, 3)), transparency=(1, 2, 3))
    grey = encoded(Image.new("L", (1, 1), 7), transparency=7)
    grey_alpha = encoded(Image.new("LA", (1, 1), (7, 0)))
    for data in (rgb, grey, grey_alpha):
        assert to_rgb8(data, background=(9, 8, 7)).tolist() == [[[9, 8, 7]]]


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [([[300, 400, 500]], np.uint16, "PNG"), ([[-1.0, 0.0, 1.0]], np.float32, "TIFF")],
)
def test_deep_grey_is_scaled_by_its_own_range(values, dtype, kind):
    data = encoded(Image.fromarray(np.array(values, dtype)), kind)
    assert to_rgb8(data)[0, :, 0].tolist() == [0, 128, 255]


def test_constant_and_not_finite_deep_grey_is_zero():
    constant = encoded(Image.fromarray(np.full((2, 2), 700, np.uint16)))
    assert to_rgb8(constant).max() == 0
    holes = encoded(Image.fromarray(np.array([[np.nan, 1.0, 3.0, np.inf]], np.float32)), "TIFF")
    assert to_rgb8(holes)[0, :, 0].tolist() == [0, 0, 255, 0]


def test_orientation_is_applied_in_jpeg_and_webp():
    sideways = np.zeros((16, 32, 3), np.uint8)
    sideways[:, 16:] = 255
    for kind in ("JPEG", "WEBP", "PNG"):
        exif = Image.Exif()
        exif[0x0112] = 6
        upright = to_rgb8(encoded(Image.fromarray(sideways), kind, exif=exif))
        assert upright.shape == (32, 16, 3)
        assert upright[:12].mean() < 5
        assert upright[20:].mean() > 250


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    for kind in ("PNG", "GIF", "TIFF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert to_rgb8(data)[0, 0].tolist() == [255, 0, 0]


def test_cmyk_is_converted():
    assert to_rgb8(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"))[0, 0].tolist() == [255, 0, 0]


def test_large_jpeg_may_be_decoded_at_a_reduced_scale():
    photo = encoded(Image.new("RGB", (800, 400), "teal"), "JPEG")
    assert to_rgb8(photo, at_least=50).shape == (100, 200, 3)
    assert to_rgb8(photo, at_least=300).shape == (400, 800, 3)
    assert to_rgb8(photo).shape == (400, 800, 3)


# --- errors -------------------------------------------------------------------------------------------------


def test_errors_name_file_and_reason(tmp_path):
    photo = encoded(Image.fromarray(np.arange(3 * 64 * 64, dtype=np.uint8).reshape(64, 64, 3)))
    cases = {
        "empty.png": (b"", "empty file"),
        "text.png": (b"hello", "not an image"),
        "cut.png": (photo[: len(photo) // 2], "truncated"),
        "phone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIF"),
    }
    for name, (data, reason) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnreadableImage, match=f"(?s){name}.*{reason}") as error:
            to_rgb8(tmp_path / name)
        assert "object at 0x" not in str(error.value)
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(UnreadableImage):
            to_rgb8(path)


def test_bombs_are_refused_at_the_warning_limit(monkeypatch):
    data = encoded(Image.new("L", (20, 20)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)  # warns above 300, raises above 600
    with pytest.raises(UnreadableImage, match="decompression bomb"):
        to_rgb8(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UnreadableImage, match="decompression bomb"):
        to_rgb8(data)


# --- sequences ----------------------------------------------------------------------------------------------


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
    images = FileImages(names, [tmp_path / name for name in names])
    assert images.check() == ()
    assert images[0].tolist() == [[[255, 0, 0]] * 3] * 2
    first, second, third = images.digests()
    assert first == second != third
    assert images.subset([2, 0]).digests() == (third, first)
    assert FileImages(names, images.paths).digests() == images.digests()
    images.paths[2].unlink()
    with pytest.raises(UnreadableImage, match=r"b.jpg"):
        images[2]
    assert [key for key, _ in images.check()] == ["b.jpg"]


# --- the awkward files --------------------------------------------------------------------------------------

HOPPER = "like hopper"
GREY = "like grey hopper"
AWKWARD = {  # name -> height, width, and what must be seen
    "pil_sample_cmyk.jpg": (100, 100, [((2, 2), (255, 0, 0), 60)]),
    "hopper_gray.jpg": (128, 128, GREY),
    "rgb.jpg": (100, 100, [((2, 2), (240, 30, 35), 25)]),
    "i_trns.png": (64, 64, [((0, 0), (0, 0, 0), 10), ((32, 32), (255, 255, 255), 0)]),
    "16bit.cropped.tif": (64, 64, "contrast"),
    "hopper_16bit.pgm": (128, 128, GREY),
    "tiff_16bit_RGBa.tiff": (40, 100, "contrast"),
    "10ct_32bit_128.tiff": (128, 128, "contrast"),
    "lab.tif": (10, 10, [((5, 5), (255, 255, 255), 2)]),
    "multipage.tiff": (10, 10, [((5, 5), (0, 128, 0), 0)]),
    "hopper.tif": (128, 128, HOPPER),
    "p_trns_single.png": (64, 64, [((32, 32), (255, 255, 255), 0)]),
    "pil123p.png": (150, 162, [((0, 0), (255, 255, 255), 0)]),
    "rgb_trns.png": (64, 64, [((32, 32), (255, 255, 255), 0)]),
    "transparent.png": (150, 200, [((0, 0), (255, 255, 255), 0), ((149, 199), (255, 255, 255), 0)]),
    "hopper_bw_500.png": (500, 500, "contrast"),
    "apng_LA.png": (64, 128, "contrast"),
    "apng_16bit.png": (64, 128, [((0, 0), (255, 0, 0), 0)]),
    "dispose_bgnd.gif": (100, 100, [((50, 50), (30, 144, 255), 0)]),
    "chi.gif": (240, 320, "contrast"),
    "hopper.webp": (128, 128, HOPPER),
    "transparent.webp": (150, 200, [((0, 0), (255, 255, 255), 0)]),
    "iss634.webp": (245, 245, "contrast"),
    "hopper.avif": (128, 128, HOPPER),
    "hopper.heif": "HEIF",
    "hopper_orientation_6.jpg": (128, 128, HOPPER),
    "hopper_orientation_5.webp": (128, 128, HOPPER),
    "xmp_tags_orientation.png": (268, 326, "turned by 180 degrees"),
    "sugarshack.mpo": (480, 640, "contrast"),
    "sugarshack_bad_mpo_header.jpg": (480, 640, "contrast"),
    "hopper_bad_exif.jpg": (500, 500, "contrast"),
    "junk_jpeg_header.jpg": (768, 1024, "contrast"),
    "truncated_jpeg.jpg": "truncated",
    "truncated_image.png": "truncated",
    "broken_data_stream.png": "data stream",
    "broken.png": "not an image",
    "unknown_compression_method.png": "not an image",
    "zero_width.gif": "not an image",
    "tRNS_null_1x1.png": (1, 1, [((0, 0), (255, 255, 255), 0)]),
    "1x1_l.png": (1, 1, [((0, 0), (128, 128, 128), 0)]),
    "orientation_rectangle.jpg": (2, 1, [((0, 0), (254, 0, 0), 0)]),
    "decompression_bomb.gif": "decompression bomb",
    "png_decompression_dos.png": "too large",
    "hopper.psd": (128, 128, HOPPER),
    "hopper_1bit.pbm": (128, 128, "contrast"),
    "gif_named.jpg": (288, 384, "contrast"),
    "png_rgba_named.jpg": (177, 284, "contrast"),
    "large_4752x3168.jpg": (3168, 4752, "contrast"),
    "café 图像 (1) #2 %20.jpg": (160, 120, "contrast"),
    "UPPER.JPG": (160, 120, "contrast"),
    "no_extension": (160, 120, "contrast"),
    "empty.jpg": "empty",
    "not_an_image.jpg": "not an image",
}


def test_the_table_covers_the_folder(awkward):
    assert {path.name for path in awkward.iterdir()} - {"README.md"} == set(AWKWARD)


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Image appears to be a malformed MPO")
def test_awkward_file(awkward, name):
    expected = AWKWARD[name]
    if isinstance(expected, str):
        with pytest.raises(UnreadableImage, match=expected):
            to_rgb8(awkward / name)
        return
    height, width, seen = expected
    pixels = to_rgb8(awkward / name)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (height, width, 3)
    if seen in (HOPPER, GREY):
        hopper = to_rgb8(awkward / "hopper.tif").astype(float)
        if seen == GREY:
            hopper = hopper @ (0.299, 0.587, 0.114)
            pixels = pixels[:, :, 0]
        assert np.abs(pixels - hopper).mean() < 6
    elif seen == "contrast":
        assert pixels.std() > 20
    elif seen == "turned by 180 degrees":
        raw = np.asarray(Image.open(awkward / name).convert("RGB"))
        assert np.array_equal(pixels, raw[::-1, ::-1])
    else:
        for place, colour, tolerance in seen:
            assert np.abs(pixels[place].astype(int) - colour).max() <= tolerance


def test_recoverable_damage_is_told_by_pillow(awkward):
    for name, told in (
        ("hopper_bad_exif.jpg", "Corrupt EXIF"),
        ("sugarshack_bad_mpo_header.jpg", "malformed MPO"),
    ):
        with pytest.warns(UserWarning, match=told):
            to_rgb8(awkward / name)

"""Image files of every kind become right pixels or a clear error."""

import io
import os
import random
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile

from dhaps_core.data import decoding
from dhaps_core.data.decoding import UnreadableImage, to_rgb8


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


def test_colour_keys_and_grey_alpha_are_transparent():
    rgb = encoded(Image.new("RGB", (1, 1), (1, 2, 3)), transparency=(1, 2, 3))
    grey = encoded(Image.new("L", (1, 1), 7), transparency=7)
    grey_alpha = encoded(Image.new("LA", (1, 1), (7, 0)))
    for data in (rgb, grey, grey_alpha):
        assert to_rgb8(data).tolist() == [[[255, 255, 255]]]


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


OTHERS = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n{} loop\n",
    "EPS with a preview": b"\xc5\xd0\xd3\xc6" + bytes(60),
    "PDF": b"%PDF-1.7\n",
    "SVG": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"></svg>',
    "WMF": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "FITS": b"SIMPLE  =                    T" + bytes(60),
    "ICO": b"\0\0\1\0" + bytes(60),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_formats_that_are_not_decoded_here_are_named(tmp_path, kind, monkeypatch):
    """An EPS file called holiday.jpg would have Pillow start Ghostscript."""

    def start(*command, **options):
        raise AssertionError(command)

    monkeypatch.setattr("subprocess.Popen", start)
    monkeypatch.setattr("os.system", start)
    (tmp_path / "holiday.jpg").write_bytes(OTHERS[kind])
    with pytest.raises(
        UnreadableImage, match=f"holiday.jpg: {kind.split(' with')[0]}, which is not decoded here"
    ):
        to_rgb8(tmp_path / "holiday.jpg")


@pytest.mark.parametrize("kind", ["TGA", "PCX", "SGI", "DDS", "ICO", "SPIDER", "MSP"])
def test_only_formats_of_the_list_are_decoded(kind):
    image = Image.fromarray(np.eye(8, dtype=np.float32)) if kind == "SPIDER" else Image.new("L", (8, 8), 9)
    with pytest.raises(UnreadableImage, match=r"not decoded|not an image"):
        to_rgb8(encoded(image.convert("1") if kind == "MSP" else image, kind))


def test_pipes_devices_folders_and_huge_files_are_told(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1 << 40)  # of which the disk holds nothing
    for path, told in [
        (tmp_path / "pipe.png", "a pipe, socket or device"),
        (Path("/dev/zero"), "a pipe, socket or device"),
        (tmp_path, "a folder"),
        (tmp_path / "huge.png", "1099511627776 bytes, of 268435456 at most"),
        (Path("a\0b.png"), "null"),
        (tmp_path / ("x" * 300), "too long"),
    ]:
        with pytest.raises(UnreadableImage, match=told):
            to_rgb8(path)


def in_little_memory(code, path, megabytes):
    """What a process prints that reads an image with so much memory to spare."""
    start = (
        "import resource, sys\nimport numpy as np\n"
        "from dhaps_core.data.decoding import *\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (used + {megabytes} * 1_000_000,) * 2)\n"
        "try:\n    print(" + code + ")\n"
        "except UnreadableImage as error:\n    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", start, str(path)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "F", "CMYK"])
def test_a_small_file_of_many_pixels_takes_less_than_13_bytes_each(tmp_path, mode):
    """16 million pixels; of its largest size (89 million) such a file has 335 kB and once took 2.3 GB."""
    path, kind = tmp_path / "large.png", {"F": "TIFF", "CMYK": "JPEG"}.get(mode, "PNG")
    image = Image.new(mode, (4000, 4000))
    image.save(path, kind, **({"compression": "tiff_deflate"} if mode == "F" else {}))
    assert path.stat().st_size < 1_000_000
    assert in_little_memory("to_rgb8(sys.argv[1]).shape", path, 13 * 16) == "(4000, 4000, 3)\n"


def test_a_webp_counts_double_for_its_decoder_keeps_copies(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert to_rgb8(encoded(Image.new("RGB", (20, 25)), "WEBP")).shape == (25, 20, 3)
    with pytest.raises(UnreadableImage, match="1040 pixels, of 1000 at most"):
        to_rgb8(encoded(Image.new("RGB", (20, 26)), "WEBP"))


def test_images_decoded_at_a_time_share_one_budget(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    data = encoded(Image.new("RGB", (30, 20)))
    at_once, lock, most = [0], threading.Lock(), []
    load = PngImageFile.load

    def watched(image):
        with lock:
            at_once[0] += 1
            most.append(at_once[0])
        try:
            time.sleep(0.002)
            return load(image)
        finally:
            with lock:
                at_once[0] -= 1

    monkeypatch.setattr(PngImageFile, "load", watched)
    with ThreadPoolExecutor(8) as pool:
        assert {image.shape for image in pool.map(to_rgb8, [data] * 40)} == {(20, 30, 3)}
    assert max(most) == 1  # two of 600 pixels would be more than 1,000


def test_a_jpeg_of_very_many_scans_is_refused(monkeypatch):
    photo = encoded(Image.effect_noise((200, 200), 50), "JPEG", progressive=True)
    assert to_rgb8(photo).shape == (200, 200, 3)
    start = photo.rindex(b"\xff\xda")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200 * 200)
    bomb = photo[:start] + photo[start:-2] * 100 + photo[-2:]
    with pytest.raises(UnreadableImage, match=r"a JPEG of 1.. scans: it could be a decompression bomb"):
        to_rgb8(bomb)


def test_a_tile_larger_than_its_image_is_refused():
    """One pixel in a tile of 3,600 million, in 175 bytes."""
    values = zlib.compress(bytes(1000))
    tags = [(256, 1), (257, 1), (258, 8), (259, 8), (262, 1), (277, 1), (322, 60_000), (323, 60_000)]
    tags += [(324, 8 + 2 + 12 * 10 + 4), (325, len(values))]
    header = b"II*\0" + struct.pack("<IH", 8, len(tags))
    data = header + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data += bytes(4) + values
    with pytest.raises(UnreadableImage, match="3600000000 pixels, of 89478485 at most"):
        to_rgb8(data)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_changes_nothing(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert to_rgb8(encoded(Image.new("RGB", (4, 2)), "JPEG", exif=exif)).shape == (2, 4, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_those_of_pillow(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 9), "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(to_rgb8(data), np.asarray(upright))


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "P"])
def test_images_of_several_strips_are_as_of_one(mode, monkeypatch):
    values = np.random.default_rng(0).integers(0, 256, (30, 20, 4), dtype=np.uint8)
    image = Image.fromarray(values)
    options = {}
    if mode == "I;16":
        image = Image.fromarray(values[:, :, 0].astype(np.uint16) * 200)
    if mode == "P":
        image, options = image.convert("RGB").convert("P"), {"transparency": 3}
    data = encoded(image, **options)
    whole = to_rgb8(data)
    monkeypatch.setattr(decoding, "_STRIP", 7 * 20)
    assert np.array_equal(to_rgb8(data), whole)


def test_random_damage_gives_pixels_or_an_unreadable_image():
    draw, noise = random.Random(0), Image.effect_noise((24, 24), 50)
    kinds = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
    seeds = [encoded(noise.convert("RGB"), kind) for kind in kinds]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2000):
            data = bytearray(draw.choice(seeds))
            for _ in range(draw.choice([1, 2, 8])):
                at = draw.randrange(len(data))
                data[at : at + draw.choice([0, 1, 4])] = draw.choice([draw.randbytes(1), b"\xff" * 4])
            try:
                pixels = to_rgb8(bytes(data))
            except UnreadableImage:
                continue
            assert pixels.ndim == 3


def test_bombs_are_refused_at_the_warning_limit(monkeypatch):
    data = encoded(Image.new("L", (20, 20)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)  # warns above 300, raises above 600
    with pytest.raises(UnreadableImage, match="decompression bomb"):
        to_rgb8(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UnreadableImage, match="decompression bomb"):
        to_rgb8(data)


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


def test_headers_that_take_hours_are_refused_before_they_are_read():
    text = b"P2 2 2 255 " + b"#\n" * 300 + b"1 1 1 1"
    part = b"\xff\xe1" + (1000).to_bytes(2) + b"Exif\0\0" + bytes(992)
    photo = io.BytesIO()
    Image.new("RGB", (8, 8)).save(photo, "JPEG")
    start, rest = photo.getvalue()[:2], photo.getvalue()[2:]
    for data, reason in (
        (text, "a PPM as text of 300 comments"),
        (start + part * 300 + rest, "a JPEG of 300 parts of EXIF"),
    ):
        with pytest.raises(UnreadableImage, match=reason):
            to_rgb8(data)
    assert to_rgb8(b"P2 # by hand\n2 2 255 # grey\n1 1 1 1").shape == (2, 2, 3)
    assert to_rgb8(start + part * 2 + rest).shape == (8, 8, 3)

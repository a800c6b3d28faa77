"""The decode policy: every kind of file people have, and every kind that must be refused."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from imagenet_hard.base.errors import ImageError, UsageError
from imagenet_hard.dataset.decode import DECODE_POLICY, MAX_PIXELS, decode, is_turned
from tests.dataset.images import encoded, jpeg, picture, png_header

GREY16 = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)


def pil(data: bytes) -> Image.Image:
    """What torchvision's and timm's loaders see before their conversion."""
    image = Image.open(BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(
    ("mode", "format"),
    [
        ("RGB", "JPEG"),
        ("L", "JPEG"),
        ("CMYK", "JPEG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("1", "PNG"),
        ("L", "PNG"),
        ("P", "GIF"),
        ("RGB", "BMP"),
        ("RGB", "PPM"),
        ("RGB", "WEBP"),
        ("RGBA", "WEBP"),
        ("CMYK", "TIFF"),
        ("RGB", "JPEG2000"),
    ],
)
def test_common_modes_are_what_pil_gives(mode: str, format: str) -> None:
    """The image keeps the mode of its file, and its pixels are PIL's."""
    source = picture().convert(mode)
    if mode == "RGBA":
        source.putalpha(128)
    data = encoded(source, format)
    image = decode(data)
    assert image.mode == mode
    assert np.array_equal(np.asarray(image), np.asarray(pil(data)))
    assert image.convert("RGB").size == (24, 16)


def test_every_real_image_decodes_as_with_pil(shared: Path) -> None:
    """Grayscale, ICC profiles, odd EXIF and large images of ImageNet included."""
    files = sorted((shared / "data" / "imagenet-samples").iterdir())[::7]
    files += sorted((shared / "data" / "imagenet-val-originals").iterdir())
    files += sorted((shared / "data" / "objectnet" / "images").iterdir())
    modes = set()
    for file in files:
        image = decode(file.read_bytes(), id=file.name)
        reference = pil(file.read_bytes())
        assert image.mode == reference.mode
        assert image.tobytes() == reference.tobytes(), file.name
        modes.add(image.mode)
    assert {"RGB", "L", "RGBA"} <= modes


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_reduced_by_its_high_byte(format: str) -> None:
    """PIL's own conversion clips 16-bit grey to white."""
    data = encoded(Image.fromarray(GREY16), format)
    image = decode(data)
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), GREY16 >> 8)


def test_integer_pixels_beyond_16_bit_are_refused() -> None:
    """32-bit integers have no agreed range."""
    data = encoded(Image.fromarray(np.full((4, 4), 70000, dtype=np.int32)), "TIFF")
    with pytest.raises(
        ImageError, match=r"image 'a' .* integer pixels in 70000..70000, expected .* 0..65535"
    ):
        decode(data, id="a")


def test_float_pixels_are_refused() -> None:
    """Nobody knows whether 1.0 is white."""
    with pytest.raises(
        ImageError, match=r"image 'a' cannot be decoded: got pixels of mode F, expected one of"
    ):
        decode(encoded(Image.fromarray(np.ones((4, 4), dtype=np.float32)), "TIFF"), id="a")


def test_palette_with_transparency_converts_without_a_warning() -> None:
    """The pixels are those of PIL's conversion; only its warning is spared."""
    data = encoded(picture().quantize(16), "PNG", transparency=bytes(range(16)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = pil(data).convert("RGB")
    assert decode(data).convert("RGB").tobytes() == expected.tobytes()


def test_an_animation_gives_its_first_frame() -> None:
    """GIF and WebP with several frames."""
    frames = [picture(i).quantize(32) for i in range(3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.array_equal(np.asarray(decode(data).convert("RGB")), np.asarray(frames[0].convert("RGB")))


def test_the_name_plays_no_part() -> None:
    """A PNG under a .JPEG name is decoded as the PNG that it is."""
    assert decode(encoded(picture()), id="x.JPEG").tobytes() == picture().tobytes()


def test_one_pixel_is_an_image() -> None:
    """The smallest image there is."""
    assert decode(encoded(picture(size=(1, 1)))).size == (1, 1)


def test_fifty_megapixels_are_fine() -> None:
    """Large photographs are below the limit."""
    data = encoded(Image.new("L", (10_000, 5_000), 7), "PNG", compress_level=1)
    assert decode(data).size == (10_000, 5_000)


@pytest.mark.parametrize(("width", "height"), [(MAX_PIXELS + 1, 1), (20_000, 20_000), (65_535, 65_535)])
def test_a_decompression_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    """Between PIL's warning and its error, and beyond: nothing is allocated, no filter is touched."""
    with pytest.raises(ImageError, match=r"image 'b' .* more than 89,478,485 pixels, the limit against"):
        decode(png_header(width, height), id="b")


def test_the_limit_holds_where_warnings_are_ignored_and_pil_has_none() -> None:
    """A process that switched PIL's guard off is still protected."""
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from PIL import Image; Image.MAX_IMAGE_PIXELS = None\n"
        "from tests.dataset.images import png_header\n"
        "from imagenet_hard.dataset.decode import decode\n"
        "from imagenet_hard.base.errors import ImageError\n"
        "try: decode(png_header(20_000, 20_000))\n"
        "except ImageError: print('refused')\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n", done.stderr


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_truncated_image_is_refused(format: str) -> None:
    """Half a file is an error, never half a grey picture."""
    data = encoded(picture(size=(200, 150)), format)
    with pytest.raises(ImageError, match=r"image 'n01/x.JPEG' cannot be decoded: .*Replace the file"):
        decode(data[: len(data) // 2], id="n01/x.JPEG")


def test_grey_filling_set_by_another_library_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With this global on, truncated images would pass in silence."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(UsageError, match="LOAD_TRUNCATED_IMAGES is on in this process"):
        decode(jpeg())


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"", "an empty file"),
        (b"<html>404</html>", "16 bytes that start with b'<html>40'"),
        (b"\x00" * 100, "100 bytes that start with"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "that start with b'%!PS-Ado'"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, seen: str) -> None:
    """The message shows how the bytes start; EPS, which PIL gives to another program, is not read."""
    with pytest.raises(ImageError, match=r"expected one of JPEG, PNG") as caught:
        decode(data, id="a")
    assert seen in str(caught.value)


def test_corrupt_bytes_never_raise_anything_else() -> None:
    """Flipped bytes either decode or give an ImageError, in every format."""
    rng = np.random.default_rng(0)
    for format in ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "JPEG2000"):
        data = np.frombuffer(encoded(picture(), format), dtype=np.uint8)
        for _ in range(60):
            broken = data.copy()
            broken[rng.integers(0, len(data), 4)] = rng.integers(0, 256, 4)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with suppress(ImageError):
                    assert decode(broken.tobytes()).width > 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_only_when_asked(orientation: int) -> None:
    """The default leaves the pixels; ``exif=True`` equals Pillow's own transposition."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture(), "JPEG", exif=exif)
    assert decode(data).tobytes() == pil(data).tobytes()
    assert decode(data, exif=True).tobytes() == ImageOps.exif_transpose(pil(data)).tobytes()
    assert is_turned(data) == (decode(data, exif=True).tobytes() != decode(data).tobytes())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # PIL says so, and reads on
@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x09", b"\xff" * 40]
)
def test_a_broken_exif_block_turns_nothing(block: bytes) -> None:
    """datasets crashed on such an ImageNet image; here it counts as no orientation."""
    data = encoded(picture(), "JPEG", exif=block)
    assert decode(data, exif=True).tobytes() == pil(data).tobytes()
    assert not is_turned(data)


def test_real_images_with_an_orientation(shared: Path) -> None:
    """A real photograph tagged as lying on its side is turned; the invalid orientation 0 turns nothing."""
    samples = shared / "data" / "imagenet-samples"
    snake = (samples / "n01728572_thunder_snake.JPEG").read_bytes()
    assert Image.open(BytesIO(snake)).getexif()[0x0112] == 0
    assert decode(snake, exif=True).tobytes() == decode(snake).tobytes()
    tench = (samples / "n01440764_tench.JPEG").read_bytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes()
    lying = tench[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + tench[2:]
    assert decode(lying).tobytes() == decode(tench).tobytes()
    assert decode(lying, exif=True).tobytes() == decode(tench).transpose(Image.Transpose.ROTATE_270).tobytes()


def test_threads_decode_alike() -> None:
    """Sixteen threads give what one gives, good and bad images mixed."""
    good = [jpeg(i) for i in range(8)]
    barrier = threading.Barrier(16)

    def work(thread: int) -> list[bytes]:
        barrier.wait()
        with pytest.raises(ImageError):
            decode(png_header(20_000, 20_000))
        return [decode(data).tobytes() for data in good]

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(work, range(16)))
    assert all(result == [pil(data).tobytes() for data in good] for result in results)


def test_the_policy_is_data() -> None:
    """A result records it as JSON."""
    import json

    assert json.loads(json.dumps(dict(DECODE_POLICY)))["max_pixels"] == MAX_PIXELS

"""One way to read an image file, and one error that names the file when it cannot be read.

The policy for unusual images, which the released code leaves to PIL's `Image.open(path).convert("RGB")`:

- grayscale, palette, RGBA, CMYK and YCCK images become RGB as PIL does it; transparency is dropped, not blended
  (ImageNet's one PNG and its 22 CMYK JPEGs come out as they did for the published checkpoints);
- 16-bit and 32-bit grayscale keeps its upper byte. PIL alone would clip every value above 255 to white; no image of
  the paper's data sets is affected;
- of an animation the first frame is used;
- EXIF orientation is NOT applied: the released code reads by torchvision's default loader, which does not, so the
  published checkpoints were trained and measured without it and turning some images now would change every number a
  little. VISSL reads the same way. Detectron2 does turn them, in its own reader, and is left as published: its boxes
  are those of the turned image;
- the file's content decides, not its extension;
- truncated, empty, unreadable or missing files, floating-point images, and images of more than `MAX_PIXELS` raise
  `ImageError`. Nothing is patched up with grey pixels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from results.refusal import Refusal, one_line

# PIL's own threshold for suspecting a decompression bomb; COCO's and ImageNet's largest images are far below.
MAX_PIXELS = 89_478_485

LONGEST_SIDE = 64
"""Times the short side: see `cut_endless`."""

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


class ImageError(Refusal):
    """An image file that cannot be used; the message starts with its path."""


def open_image(path: Path) -> Image.Image:
    """The image at `path` as 8-bit RGB, decoded whole; see the module's policy.

    Raises:
        ImageError: the file cannot be decoded; the message names it and says why.
    """
    with opened(path) as image:
        return _to_rgb(image)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The image at `path` with its header read and its pixels not yet; for a reader with a policy of its own.

    Raises:
        ImageError: the file is missing, too large, or whatever is done with it in the block fails; named as above.
    """
    if not path.is_file():
        raise ImageError(f"{path}: no such image file" if not path.exists() else f"{path}: not a regular file")
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(f"{path}: {image.width} x {image.height} pixels, over the limit of {MAX_PIXELS:,}")
            yield image
    except ImageError:
        raise
    # Broken files make PIL's decoders raise nearly anything: OSError, SyntaxError, struct.error, IndexError.
    except Exception as error:
        reason = "cannot identify image file" if isinstance(error, UnidentifiedImageError) else one_line(error)
        raise ImageError(f"{path}: {reason}; restore the file") from error


def cut_endless(image: Image.Image) -> Image.Image:
    """The image, or the middle of one whose long side is more than `LONGEST_SIDE` times its short one.

    Views that bring the short side to some 256 pixels would make gigabytes of it (50,000 x 10 becomes 1,280,000 x 256)
    before they cut out the middle. No image of the paper's data sets is affected.
    """
    width, height = image.size
    longest = LONGEST_SIDE * min(width, height)
    if max(width, height) <= longest:
        return image
    wide, high = min(width, longest), min(height, longest)
    left, top = (width - wide) // 2, (height - high) // 2
    return image.crop((left, top, left + wide, top + high))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L").convert("RGB")
    if image.mode == "I":
        return image.point(lambda value: value * (1 / 257)).convert("L").convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if "transparency" in image.info and image.mode in ("P", "L", "RGB"):
        # PIL warns about palettes with byte-wise transparency unless they pass through RGBA; the colours are the same.
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")

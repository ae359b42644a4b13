"""Writes images.json: JPEG files and arrays by Pillow and NumPy, with their pixels as these libraries read and scale them.

Versions: NumPy 2.4, Pillow 13, scikit-learn 1.9.
"""

import base64
import io
import json
import os

import numpy as np
from PIL import Image, ImageOps

rng = np.random.default_rng(0)


def text(write):
    file = io.BytesIO()
    write(file)
    return base64.b64encode(file.getvalue()).decode()


def packed(pixels):
    """u8 values in base64."""
    return base64.b64encode(np.asarray(pixels, np.uint8).tobytes()).decode()


def picture(width, height):
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 120 * np.sin(x / 7 + k) * np.cos(y / 5 - k) for k in range(3)]
    return Image.fromarray(np.stack(planes, -1).astype(np.uint8))


def jpeg(image, **options):
    file = text(lambda file: image.save(file, "jpeg", **options))
    decoded = ImageOps.exif_transpose(Image.open(io.BytesIO(base64.b64decode(file))))
    pixels = np.asarray(decoded).reshape(decoded.height, decoded.width, -1)
    return {"file": file, "shape": list(pixels.shape), "pixels": packed(pixels)}


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def scaled(image, height, width, box=None):
    return packed(image.resize((width, height), Image.BILINEAR, box=box))


wide = picture(37, 21)
jpegs = {
    "colour": jpeg(wide, quality=90),
    "progressive": jpeg(wide, quality=90, progressive=True),
    "grey": jpeg(wide.convert("L"), quality=90),
    **{f"orientation {n}": jpeg(picture(24, 16), quality=95, exif=exif(n)) for n in range(1, 9)},
}
cmyk = text(lambda file: wide.convert("CMYK").save(file, "jpeg"))

resized = {
    "pixels": packed(wide),
    "smaller": scaled(wide, 8, 8),
    "larger": scaled(wide, 50, 40),
    "centre": scaled(wide, 8, 8, box=(8, 0, 29, 21)),
    "grey": scaled(wide.convert("L"), 8, 8),
}

images = np.round(rng.uniform(0, 16, (20, 4, 4)))
images[0, 0, :2] = [0, 16]
labels = np.arange(20) % 3
arrays = {
    "values": packed(images),
    "npz": text(lambda file: np.savez(file, images=images, target=labels)),
    "packed": text(lambda file: np.savez_compressed(file, X=images.reshape(20, 16), Y=labels)),
    "unnamed": text(lambda file: np.savez(file, images, labels)),
    "objects": text(lambda file: np.savez(file, images=np.array([{}], object))),
}

path = os.path.join(os.path.dirname(__file__), "images.json")
with open(path, "w") as file:
    json.dump({"jpegs": jpegs, "cmyk": cmyk, "resized": resized, "arrays": arrays}, file)

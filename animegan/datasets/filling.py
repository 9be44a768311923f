"""Fill a folder with pictures so that an interrupted call can be gone on with."""

import io
from pathlib import Path, PurePosixPath

from PIL import Image

from animegan.core.files import aside
from animegan.datasets.targets import hashed


class Filling:
    """Writes files into a folder, each under a temporary name first, and counts them.

    A file that is there already counts only if it has been compared. One with other content is
    left as it is, and the new one gets another name.
    """

    def __init__(self, out: Path, limit: int | None = None) -> None:
        self.out, self.limit = out, limit
        self.count = self.new = 0
        self.beside: list[str] = []  # names that were taken by files with other content

    @property
    def full(self) -> bool:
        """Whether the limit is reached."""
        return self.limit is not None and self.count >= self.limit

    def write(self, name: str, content: bytes | Image.Image) -> Path:
        """Write a file's bytes, or a picture as PNG, unless they are there; return the path."""
        path = self.out / name
        data = content if isinstance(content, bytes) else _png(content)
        if path.exists() and not _is_same(path, data, content):
            self.beside.append(name)
            pure = PurePosixPath(name)
            path = self.out / pure.with_name(f"{pure.stem}-{hashed(data)}{pure.suffix}")
        if not (path.exists() and _is_same(path, data, content)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with aside(path) as half:
                half.write_bytes(data)
            self.new += 1
        self.count += 1
        return path


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def _is_same(path: Path, data: bytes, content: bytes | Image.Image) -> bool:
    """Whether a file has these bytes, or the same pixels as a picture of ours."""
    if not path.is_file():
        return False
    if path.stat().st_size == len(data) and path.read_bytes() == data:
        return True
    if isinstance(content, bytes):
        return False
    try:  # another version of the PNG library may have written it
        with Image.open(path, formats=["PNG"]) as there:
            return (there.mode, there.size, there.tobytes()) == (
                content.mode, content.size, content.tobytes(),
            )  # fmt: skip
    except Exception:  # damaged: Pillow raises almost anything
        return False

"""Resumable download of a file over HTTP."""

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

from tqdm import tqdm

from animegan.core.errors import UsageError

_BLOCK = 2**20
_TIMEOUT = 60  # seconds without receiving a byte


def fetch(urls: Sequence[str], path: Path) -> Path:
    """Download from the first of `urls` (mirrors) that works to `path`; do nothing if it exists.

    A partial download is kept in `path`.part, next to the server's version of the file (ETag or
    date), so that two versions are never mixed. Raises UsageError if no mirror answers, the disk is
    too small or the connection breaks off; calling again then resumes.
    """
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    for url in urls:
        try:
            _fetch_one(url, path)
        except (OSError, HTTPException) as error:
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
        else:
            return path
    raise UsageError(
        f"download: {'; '.join(reasons)}; run the command again to resume, or download the file "
        "elsewhere and pass it with --archive"
    )


def _fetch_one(url: str, path: Path) -> None:
    part, mark = path.with_name(path.name + ".part"), path.with_name(path.name + ".version")
    have = part.stat().st_size if part.exists() and mark.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "animegan"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", mark.read_text())
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:  # 416: the partial file is already complete
            raise
        error.close()
        os.replace(part, path)
        return
    with answer:
        if answer.status != 206:  # the whole file: it has changed, or the server cannot resume
            have = 0
        length = answer.headers.get("Content-Length")
        rest = int(length) if length is not None else None
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        if version and not version.startswith("W/"):
            mark.write_text(version)
        elif mark.exists():
            mark.unlink()
        if rest is not None and rest > shutil.disk_usage(path.parent).free:
            raise UsageError(
                f"download: {url} needs {rest:,} bytes, more than the disk has free; free some, or "
                "use another --out"
            )
        total = have + rest if rest is not None else None
        with (
            open(part, "ab" if have else "wb") as file,
            tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=path.name) as bar,
        ):
            while block := answer.read(_BLOCK):
                file.write(block)
                bar.update(len(block))
    if total is not None and part.stat().st_size != total:
        raise OSError(f"broke off after {part.stat().st_size:,} of {total:,} bytes")
    os.replace(part, path)
    mark.unlink(missing_ok=True)

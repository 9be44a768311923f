"""A cheap yardstick for a training that watches itself: few pictures, the reals measured once."""

from typing import TYPE_CHECKING

import numpy as np

from animegan import metrics
from animegan.data.cache import FaceSet
from animegan.data.folder import find_pictures
from animegan.errors import UsageError
from animegan.features import Extractor, check_extractor, extract
from animegan.images import Draw
from animegan.measure import measure, of_array, too_many

if TYPE_CHECKING:
    from config import Config

PICTURES = 1000  # a side, unless told
LEAST = 10


def check(config: "Config") -> None:
    """UsageError for what keeps `--eval-path` from being measured against, if it is given.

    Nothing is decoded or fetched.
    """
    if config.eval_path is None:
        return
    check_extractor(config.extractor, config.inception_file)
    try:
        held_out = find_pictures(config.eval_path).names
    except UsageError as error:
        raise error.under("--eval-path") from None
    check_count(config.eval_path, config.eval_num, len(held_out))


def check_count(eval_path: str, eval_num: int | None, held_out: int) -> None:
    """UsageError for fewer held-out pictures than can tell anything, or than are asked for."""
    if held_out < LEAST:
        raise UsageError(
            f"--eval-path {eval_path}: {held_out} pictures are too few to measure against; "
            f"{LEAST} or more, best {PICTURES:,}"
        )
    if eval_num and eval_num > held_out:
        raise too_many(eval_num, eval_path, held_out)


class TrainingYardstick:
    """KID and Fréchet distance of what a draw function gives, against the same reals every time.

    Comparable with itself only: FD depends on the number of pictures. Touches no global random
    state, so a training that is watched goes on as one that is not.
    """

    def __init__(
        self,
        faces: FaceSet,
        extractor: Extractor,
        n: int = PICTURES,
        seed: int = 0,
    ) -> None:
        """`n` pictures of `faces` (fewer if it has fewer) chosen by seed; features are kept."""
        self.n = min(n, len(faces))
        chosen = np.sort(np.random.RandomState(seed).permutation(len(faces))[: self.n])
        self._extractor = extractor
        self._real = measure(of_array("reals", faces.images, chosen), extractor, None).features

    def score(self, draw: Draw) -> dict[str, float]:
        """`kid` (unbiased, about 0 for reals, over all n at once) and `fd` of pictures 0 .. n-1."""
        fake = extract(self._extractor, draw, self.n)
        scaled = self._extractor.norm_scaled
        return {
            "kid": metrics.kid_of_all(self._real, fake, norm_scaled=scaled),
            "fd": metrics.frechet(self._real, fake),
        }

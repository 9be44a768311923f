"""KID and Fréchet distance during training: few images, features of the reals computed once."""

from typing import TYPE_CHECKING

import numpy as np

from animegan.core.errors import UsageError
from animegan.core.images import Draw
from animegan.data.face_set import FaceSet
from animegan.data.folder import find_pictures
from animegan.evaluation import metrics
from animegan.evaluation.extractors import Extractor, check_extractor, extract
from animegan.evaluation.measure import measure, of_array, too_many

if TYPE_CHECKING:
    from animegan.config.config import Config

PICTURES = 1000  # default number of reals and of fakes
LEAST = 10


def check(config: "Config") -> None:
    """Check `--eval-path` and its extractor, if given, without decoding or downloading.

    Raises UsageError if the folder, the extractor or the number of pictures is unusable.
    """
    if config.eval_path is None:
        return
    check_extractor(config.extractor, config.inception_file)
    held_out = find_pictures(config.eval_path, "--eval-path").names
    check_count(config.eval_path, config.eval_num, len(held_out))


def check_count(eval_path: str, eval_num: int | None, held_out: int) -> None:
    """Raise UsageError if there are fewer held-out pictures than LEAST or than `eval_num`."""
    if held_out < LEAST:
        raise UsageError(
            f"--eval-path {eval_path}: {held_out} pictures are too few; use at least {LEAST}, "
            f"better {PICTURES:,}"
        )
    if eval_num and eval_num > held_out:
        raise too_many(eval_num, eval_path, held_out)


class OnlineEvaluator:
    """Measures KID and Fréchet distance of generated images against a fixed set of reals.

    Values are comparable only within one run, since FD depends on the number of images. It leaves
    the global random state alone, so evaluation does not change training.
    """

    def __init__(
        self,
        faces: FaceSet,
        extractor: Extractor,
        n: int = PICTURES,
        seed: int = 0,
    ) -> None:
        """Choose at most `n` images of `faces` by `seed` and compute their features."""
        self.n = min(n, len(faces))
        chosen = np.sort(np.random.RandomState(seed).permutation(len(faces))[: self.n])
        self._extractor = extractor
        self._real = measure(of_array("reals", faces.images, chosen), extractor, None).features

    def score(self, draw: Draw) -> dict[str, float]:
        """Return `kid` (raw) and `fd` of images 0 .. n-1 of `draw`.

        KID is the unbiased estimate over all n images at once, about 0 for reals.
        """
        fake = extract(self._extractor, draw, self.n)
        scaled = self._extractor.norm_scaled
        return {
            "kid": metrics.kid_of_all(self._real, fake, norm_scaled=scaled),
            "fd": metrics.frechet(self._real, fake),
        }

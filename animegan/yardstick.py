"""A cheap yardstick for a training that watches itself: few pictures, the reals measured once."""

import numpy as np

from animegan import metrics
from animegan.data.cache import FaceSet
from animegan.features import Draw, Extractor, extract
from animegan.measure import measure, of_array


class TrainingYardstick:
    """KID and Fréchet distance of what a draw function gives, against the same reals every time.

    Comparable with itself only: FD depends on the number of pictures. Touches no global random
    state, so a training that is watched goes on as one that is not.
    """

    def __init__(
        self,
        faces: FaceSet,
        extractor: Extractor,
        n: int = 1000,
        seed: int = 0,
        name: str = "reals",
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

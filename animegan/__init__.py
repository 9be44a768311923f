"""animegan: trains a GAN on a folder of anime faces and draws new ones."""

__version__ = "0.1.0"

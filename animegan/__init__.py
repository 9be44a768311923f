"""animegan: train a GAN on a folder of anime faces and draw new ones."""

__version__ = "0.1.0"

"""Every option of the tool, with its default, is a field of Config: animegan/config/config.py."""

from animegan.config.config import OPTIONS, Config

__all__ = ["OPTIONS", "Config"]

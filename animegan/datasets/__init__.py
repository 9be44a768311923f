"""From pictures elsewhere to a folder to train on."""

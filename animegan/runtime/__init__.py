"""The machine: device, precision, seeds, memory, and the processes that train together."""

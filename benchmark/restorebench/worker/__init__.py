"""The process that does the work: one plugin on one device. The only part of the host with tensors.

Started by name (`python -m restorebench.worker READ WRITE`) with two private descriptors; the supervisor
never imports it. `session` runs one job after another, `restoring` pads, batches, tiles and times.
"""

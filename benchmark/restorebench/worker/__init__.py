"""The process that does the work: one plugin on one device. The only part of the host with tensors.

Started by name (`python -m restorebench.worker READ WRITE DRIVER`) with two private descriptors and the
number of the process it must not outlive; the supervisor never imports it. `session` runs one job after
another; `reading`, `detecting`, `restoring` and `scoring` each call one kind of plugin and hold it to its
contract.
"""

"""The worker process: it runs one plugin on one device. In a run, only workers handle tensors.

It is started by name (`python -m restorebench.worker READ WRITE DRIVER`) with two private descriptors and the
number of the process that it must not outlive; the supervisor never imports it. `session` runs one job after
another; `reading`, `detecting`, `restoring` and `scoring` each call one kind of plugin and check that it keeps
its contract.
"""

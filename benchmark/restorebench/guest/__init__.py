"""The guest: a process that loads one restorer or detector and nothing of the data, the scores or the journal.

A worker hands it pixels through shared memory and small messages beside them. The guest is a copy of a server
process, which the worker forks before it knows any data (`server`); it confines itself (`confinement`) before it
imports the method (`serving`). `method.Here` does the same work without a process, for debuggers and tests.
"""

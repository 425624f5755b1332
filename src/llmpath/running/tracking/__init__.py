"""The events of a run, written to the experiment tracker that the user already has.

`follower` starts a process of its own for it, `child` is that process and reads
`events.jsonl` as it grows, `adapters` speaks to each tracker. So neither the run nor the
command line imports a tracker or waits for one, and one that fails costs the run nothing.
"""

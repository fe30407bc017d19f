"""Doors are tried with programs that are not ours, from doors.lock: `make check-doors`. They are no part of `make test`."""

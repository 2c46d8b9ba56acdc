"""What holds for all tests: one profile of property tests, and a Ctrl-C that can be sent."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# No example is timed: a busy machine is no fault of the product.
settings.register_profile("modstar", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("modstar")

# A shell has what it puts in the background ignore Ctrl-C, and the programs under test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

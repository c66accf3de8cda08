"""Reads resource ids from stdin, one a line, tries to lock each of them once, and prints true or false."""

import sys
import warnings

from dapr.clients import DaprClient

# The SDK warns at each call that the API is alpha.
warnings.simplefilter("ignore")

with DaprClient() as client:
    print("ready", flush=True)
    for line in sys.stdin:
        taken = client.try_lock("lockstore", line.strip(), "python", 60).success
        print("true" if taken else "false", flush=True)

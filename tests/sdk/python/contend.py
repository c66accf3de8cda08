"""Tries to take each lock that a line of the input names, once, and prints whether it was taken."""

import sys
import warnings

from dapr.clients import DaprClient

# The SDK says at each call that the API is an alpha version.
warnings.simplefilter("ignore")

with DaprClient() as client:
    print("ready", flush=True)
    for line in sys.stdin:
        taken = client.try_lock("lockstore", line.strip(), "python", 60).success
        print("true" if taken else "false", flush=True)

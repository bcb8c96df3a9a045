"""The other device: the one that DHAPS_DEVICE names, or one that is only pretended."""

from contextlib import nullcontext

from tests.device.pretended import NAME, pretended
from tests.given import DEVICE

REAL = DEVICE.type != "cpu"
THERE = str(DEVICE) if REAL else NAME


def there():
    """Within ``with there():`` tensors can be moved to the device :data:`THERE`."""
    return nullcontext() if REAL else pretended()

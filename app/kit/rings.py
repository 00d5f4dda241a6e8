"""Python looks for rings of objects that only hold one another; a service hardly makes any."""

import gc

YOUNG = (20_000, 10, 20)
"""After how many new objects Python looks for rings among them: a delivery makes hundreds of objects and no ring."""


def collect_seldom() -> None:
    """Let Python look for rings of objects less often. What is there by now stays to the end and is not looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*YOUNG)

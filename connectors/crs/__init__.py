"""CRS Credit API (Stitch Credit): Equifax monitoring, told in nightly batches and looked up one by one."""

from connectors.crs.connector import Crs

connector = Crs

__all__ = ["connector"]

"""Vendors: one file each, all behind the protocols of `base`."""

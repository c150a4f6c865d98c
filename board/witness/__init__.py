"""The bureau's witness: countersigns closed half-days up to which every statement has come (docs/proof.md)."""

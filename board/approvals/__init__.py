"""Classes approved at the bureau: uploaded, shown as understood, approved, signed, sent to the boxes that record them."""

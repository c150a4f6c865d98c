"""Takes in the bureau's countersignatures over closed half-days."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from agent.bureau.options import BureauOptions
from agent.catalog import Catalog
from agent.catalog.witnesses import StoredWitness
from agent.core.errors import BureauError
from agent.core.witness_text import MAX_WITNESS, parse_witness_text
from agent.drive import keys

_MAX_SIGNATURE = 8192


def accept_witness(
    catalog: Catalog, options: BureauOptions, class_id: str, body: Mapping[str, object], now: datetime
) -> bool:
    """Store a countersignature; return whether it was new. The closer puts it on the drive.

    Raises BureauError where it is malformed, is not about a half-day that this box closed with that head, or is not by the
    bureau's key (`bureau.witness_key`; without that key the signature is kept unchecked, and `drive verify` checks it).
    """
    text, signature = body.get("text"), body.get("signature")
    if not isinstance(text, str) or not isinstance(signature, str) or len(signature) > _MAX_SIGNATURE:
        raise BureauError("bureau.witness_bad", class_id=class_id)
    try:
        found = parse_witness_text(text[: MAX_WITNESS + 1])
    except ValueError:
        raise BureauError("bureau.witness_bad", class_id=class_id) from None
    known = next((x for x in catalog.witnesses.of_class(class_id) if x.sequence == found.sequence), None)
    if known and known.head == found.head:
        return False  # the earlier one proves more
    box = f"{options.county}/{options.site}/{options.box}"
    links = {link.sequence: link.head for link in catalog.chain.of_class(class_id)}
    if found.box != box or found.class_id != class_id or links.get(found.sequence) != found.head:
        raise BureauError("bureau.witness_other", class_id=class_id)
    key = options.witness_key
    if key and not keys.verify_signature(text.encode(), signature.encode(), key, namespace=keys.WITNESS_NAMESPACE):
        raise BureauError("bureau.witness_unsigned", class_id=class_id)
    catalog.witnesses.put(StoredWitness(class_id, found.sequence, found.head, now, text, signature))
    return True

"""What the checks need to know of the box, filled from the settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from agent import __version__
from agent.bureau import BureauOptions, LinkStatus
from agent.cameras.unit_replacement import ReservedIds
from agent.catalog import Catalog
from agent.core import defaults
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock
from agent.settings import wiring
from agent.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class BoxFacts:
    """The input of every check.

    `catalog` is None where the service has never run. `certificates` are files whose dates matter, by their purpose.
    `bureau` is None where the link is switched off. `now` is the instant of the examination.

    `deep` False leaves out what is costly: writing to the drives to measure their speed, reading the whole database,
    connecting to the broker. `link` is the state of the service's own connection to the broker; where given, it is
    reported instead of signing in once more. `page` is where the inspectors' page answers on this machine, None where
    it is switched off. `reserved`: camera IDs that settings and classes use.
    """

    clock: Clock
    now: datetime
    zone: ZoneInfo
    version: str
    settings_file: Path
    state_dir: Path
    key_dir: Path
    drives: tuple[Path, ...]
    model: Path
    model_sha256: str
    model_list: Path
    model_list_key: str = ""
    clock_bound_s: float = defaults.CAMERA_CLOCK_BOUND_S
    bureau: BureauOptions | None = None
    certificates: tuple[tuple[str, Path], ...] = ()
    catalog: Catalog | None = None
    classes: tuple[TrainingClass, ...] = ()
    smart_file: Path = field(default=Path("/run/site-agent-smart/health.json"))
    deep: bool = True
    link: LinkStatus | None = None
    page: tuple[str, int] | None = None
    reserved: ReservedIds = field(default_factory=ReservedIds)


def build_box_facts(
    file: Path, given: Settings, catalog: Catalog | None, clock: Clock, classes: Iterable[TrainingClass]
) -> BoxFacts:
    """Build the box from the settings."""
    planned = tuple(classes)
    serve = given.serve
    certificates = {
        "bureau": given.bureau.certificate_file,
        "bureau_ca": given.bureau.ca_file,
        "page": serve.certificate_file,
    }
    own_page = given.state_dir / "page" / "tls" / "page.pem"
    if serve.enabled and serve.certificate_file is None and own_page.exists():
        certificates["page"] = own_page
    return BoxFacts(
        clock=clock,
        now=clock.now(),
        zone=given.zone,
        version=__version__,
        settings_file=file,
        state_dir=given.state_dir,
        key_dir=given.key_dir,
        drives=given.recording.drives,
        model=given.counting.model,
        model_sha256=given.counting.sha256,
        model_list=given.cameras.model_list,
        model_list_key=given.cameras.model_list_key,
        clock_bound_s=given.cameras.clock_bound_s,
        bureau=wiring.build_bureau_options(given) if given.bureau.enabled else None,
        certificates=tuple((what, path) for what, path in certificates.items() if path),
        catalog=catalog,
        classes=planned,
        reserved=wiring.build_reserved_ids(given).with_classes(planned),
        page=(_resolve_local_address(serve.host), serve.port) if serve.enabled else None,
    )


def _resolve_local_address(host: str) -> str:
    """Return an address of this machine for one that may mean all of them."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only, never bound

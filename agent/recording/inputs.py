"""What a recorder asks the rest of the agent for, and its callbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.core.camera_model import UnitCheck
from agent.core.errors import DriveError
from agent.core.model import Segment
from agent.credentials.attempts import AttemptBudget
from agent.drive import Drive
from agent.recording.assignment import AssignmentLookup
from agent.recording.options import StreamSource


@dataclass(frozen=True, slots=True)
class RecorderInputs:
    """What a recorder asks for, again and again.

    source      the admitted camera's stream; None while it is not admitted
    plan        what the camera records for at an instant; None outside the plan
    drive       the drive to write to; raises DriveError
    identify    which unit answers where the stream comes from, asked before each connection; None: nothing can be asked
    budget      attempts with a password, shared with everything else that signs in to cameras; None: this recorder is alone
    """

    source: Callable[[], StreamSource | None]
    plan: AssignmentLookup
    drive: Callable[[], Drive]
    identify: Callable[[], UnitCheck] | None = None
    budget: AttemptBudget | None = None


@dataclass(frozen=True, slots=True)
class RecorderEvents:
    """Callbacks: `finished` with each finished segment, `complain` with a drive that could not be written to."""

    finished: Callable[[Segment], None] | None = None
    complain: Callable[[Drive, DriveError], None] | None = None

"""Changes a drive by the command on real file systems; run by a test inside a mount namespace of its own, as root.

`python -m tests.support.drive_swap FOLDER KIND` prints one JSON object of what happened. Nothing of the machine is touched:
/etc and /run are copies, `systemctl` is a script that writes down what it was told and mounts for the unit, and `lsblk` is one
that asks blkid, since no udev runs there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.drive import Drive, verify
from simulator.clips import make_clip
from tests.support.clip_factory import ClipBox, make_box

MEGABYTES = 64
MOUNTS = {"ext4": ("ext4",), "exfat": ("exfat", "exfat-fuse")}
SYSTEMCTL = """#!/bin/sh
echo "$@" >>{told}
case "$*" in "restart "*.mount)
  unit=/etc/systemd/system/$2
  wanted=$(sed -n 's,^What=/dev/disk/by-uuid/,,p' "$unit") where=$(sed -n 's,^Where=,,p' "$unit")
  for device in {devices}; do
    if [ "$(blkid -p -s UUID -o value $device)" = "$wanted" ]; then exec mount -t {kind} $device "$where"; fi
  done
  exit 1;;
esac
"""
LSBLK = """#!/bin/sh
printf '{{"blockdevices":['
comma=
for device in {devices}; do
  printf '%s{{"path":"%s","type":"loop","fstype":"%s","uuid":"%s","label":null,"size":67108864,"model":null,' \\
    "$comma" $device "$(blkid -p -s TYPE -o value $device)" "$(blkid -p -s UUID -o value $device)"
  printf '"mountpoints":["%s"]}}' "$(findmnt -n -o TARGET -S $device)"
  comma=,
done
printf ']}}'
"""


class DriveSwap:
    """A box whose drive and its successor are two loop devices."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.told = folder / "told"
        self.old, self.new = (self._make_disk(name, kind) for name in ("old", "new"))
        self.kind = self._mount(self.old, folder / "drive", MOUNTS[kind])
        self._make_programs()
        self.box = make_box(folder)

    def _make_disk(self, name: str, kind: str) -> str:
        image = self.folder / f"{name}.img"
        with image.open("wb") as file:
            file.truncate(MEGABYTES << 20)
        _run(f"mkfs.{kind}", *(["-q", "-F"] if kind == "ext4" else []), str(image))
        return _run("losetup", "--find", "--show", str(image))

    def _mount(self, device: str, where: Path, kinds: Sequence[str]) -> str:
        """Mount by the first kind that this machine knows, and return it."""
        where.mkdir()
        for kind in kinds[:-1]:
            if subprocess.run(["mount", "-t", kind, device, where], capture_output=True, check=False).returncode == 0:
                return kind
        _run("mount", "-t", kinds[-1], device, str(where))
        return kinds[-1]

    def _make_programs(self) -> None:
        programs = self.folder / "bin"
        programs.mkdir()
        given = {"told": self.told, "kind": self.kind, "devices": f"{self.old} {self.new}"}
        for name, text in (("systemctl", SYSTEMCTL), ("lsblk", LSBLK), ("udevadm", "#!/bin/sh\n")):
            (programs / name).write_text(text.format(**given), encoding="utf-8")
            (programs / name).chmod(0o755)
        os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"

    def change(self, *more: str) -> dict[str, object]:
        """Run the command; return its status, what it said, and what systemctl was told meanwhile."""
        self.told.write_text("", encoding="utf-8")
        done = self.box.command("drive", "change", str(self.root), "--label", "第2号盘", *more)
        said = self.told.read_text(encoding="utf-8").splitlines()
        return {"status": done.returncode, "said": done.stderr, "told": said, "mounted": self.root.is_mount()}

    @property
    def root(self) -> Path:
        return self.box.drive.root

    def release(self) -> None:
        subprocess.run(["umount", str(self.root)], capture_output=True, check=False)
        for device in (self.old, self.new):
            subprocess.run(["losetup", "--detach", device], capture_output=True, check=False)


def swap(made: DriveSwap) -> dict[str, object]:
    """The drive is in use; then it is taken out while no new disk is there; then the new one comes."""
    _record(made.box)
    found: dict[str, object] = {"old": made.box.drive.drive_id}
    with (made.root / "标签.txt").open("rb"):
        found["in_use"] = made.change("--device", made.new)
    found["no_disk"] = made.change("--device", "/dev/does-not-exist")
    _run("mount", "-t", made.kind, made.old, str(made.root))
    found["old_sound"] = verify.verify_drive(Drive.open(made.root)).ok
    _run("umount", str(made.root))
    found["changed"] = made.change("--device", made.new)
    if not (made.root / ".site-agent").exists():
        return found
    found["new"], found["label"] = Drive.open(made.root).drive_id, Drive.open(made.root).label
    found["again"] = made.change("--device", made.old)
    return found


def _record(box: ClipBox) -> None:
    box.record(make_clip(box.drive.root.parent / "m.mp4", 10, size=(320, 192)), [0, 10])


def _run(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


if __name__ == "__main__":
    swapped = DriveSwap(Path(sys.argv[1]), sys.argv[2])
    try:
        print(json.dumps(swap(swapped), ensure_ascii=False))
    finally:
        swapped.release()

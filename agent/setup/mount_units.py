"""Mounts a drive by the UUID of its file system, with a systemd mount unit and a udev rule.

So only this disk is mounted at its mount point, whenever it is plugged in.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import string
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.core.errors import InputError
from agent.drive import durable

UNITS = Path("/etc/systemd/system")
RULES = Path("/etc/udev/rules.d")
USER = "site-agent"
_PLAIN = frozenset(f"{string.ascii_letters}{string.digits}_:.")
# the kernel's ntfs3 refuses a volume that was not unmounted cleanly, so a drive would be missing after every power cut
_NTFS_3G = "ntfs-3g"
_OWNER_OPTIONS = "uid={user},gid={user},umask=0027,noatime"
# kind of file system (blkid) -> (type to mount, options); on file systems without owners the service owns all files
MOUNT_OPTIONS = {
    "ext4": ("ext4", "noatime,nodev,nosuid,noexec"),
    "xfs": ("xfs", "noatime,nodev,nosuid,noexec"),
    "exfat": ("exfat", _OWNER_OPTIONS + ",nodev,nosuid,noexec"),
    "ntfs": ("ntfs3", _OWNER_OPTIONS + ",nodev,nosuid,noexec"),
}


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition as reported by lsblk; `mounted` are its mount points, `size` is in bytes."""

    device: str
    kind: str
    uuid: str
    label: str
    size: int
    model: str
    mounted: tuple[str, ...]

    @property
    def system(self) -> bool:
        """Whether it holds the running system or swap, and so can never be an evidence drive."""
        own = ("/", "/boot", "/usr", "/var", "/home", "/opt", "[SWAP]")
        return self.kind == "swap" or any(m in own or m.startswith("/boot/") for m in self.mounted)


def list_partitions() -> list[Partition]:
    """List the partitions (or disks with a file system) that could be a drive; system partitions are left out."""
    columns = "PATH,TYPE,FSTYPE,UUID,LABEL,SIZE,MODEL,MOUNTPOINTS"
    try:
        done = subprocess.run(
            ["lsblk", "--json", "--bytes", "--output", columns], capture_output=True, text=True, timeout=30, check=True
        )
        disks = json.loads(done.stdout)["blockdevices"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise InputError("setup.no_lsblk", detail=type(error).__name__) from None
    found = [p for disk in disks for p in _list_disk_partitions(disk)]
    return [p for p in found if p.kind and not p.system]


def _list_disk_partitions(disk: dict[str, object]) -> list[Partition]:
    children = disk.get("children")
    rows: Sequence[object] = children if isinstance(children, list) and children else [disk]
    return [
        Partition(
            device=str(row["path"]),
            kind=str(row["fstype"] or ""),
            uuid=str(row["uuid"] or ""),
            label=str(row["label"] or ""),
            size=int(row["size"] or 0),
            model=str(disk.get("model") or "").strip(),
            mounted=tuple(str(m) for m in row["mountpoints"] or () if m),
        )
        for row in rows
        if isinstance(row, dict) and disk.get("type") in ("disk", "loop")
    ]


def find_partition(device: str) -> Partition:
    """Find the partition named by the user, by any of its device names. Raises InputError."""
    real = os.path.realpath(device)
    found = next((p for p in list_partitions() if os.path.realpath(p.device) == real), None)
    if found is None:
        raise InputError("setup.no_device", device=device)
    if found.kind not in MOUNT_OPTIONS or not found.uuid:
        raise InputError("setup.bad_file_system", device=device, kind=found.kind or "-", known=", ".join(MOUNT_OPTIONS))
    return found


def build_unit_name(where: Path) -> str:
    """Return the name of a folder's mount unit (as systemd-escape --path)."""
    text = str(where).strip("/")
    safe = "".join("-" if b == 0x2F else chr(b) if chr(b) in _PLAIN else f"\\x{b:02x}" for b in text.encode())
    return f"{safe}.mount"


def build_mount_unit(uuid: str, kind: str, where: Path) -> str:
    """Build the text of the mount unit. No other unit requires it: the agent itself reports a missing drive."""
    mount_type, options = MOUNT_OPTIONS[kind]
    if mount_type == "ntfs3" and shutil.which(f"mount.{_NTFS_3G}", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        mount_type = _NTFS_3G
    return (
        "# Written by site-agent setup: this disk, by the identity of its file system, appears here and no other does.\n"
        "[Unit]\n"
        f"Description=Evidence drive of the classroom site agent at {where}\n"
        "Documentation=file:/opt/site-agent/current/docs/guide/install.md\n"
        "\n[Mount]\n"
        f"What=/dev/disk/by-uuid/{uuid}\n"
        f"Where={where}\n"
        f"Type={mount_type}\n"
        f"Options={options.format(user=USER)}\n"
        "TimeoutSec=30\n"
    )


def build_udev_rule(uuid: str, where: Path) -> str:
    """Build the text of the udev rule: mount the disk when it is plugged in, and keep desktops from mounting it."""
    return (
        "# Written by site-agent setup.\n"
        f'ACTION!="remove", SUBSYSTEM=="block", ENV{{ID_FS_UUID}}=="{uuid}", TAG+="systemd", '
        f'ENV{{SYSTEMD_WANTS}}+="{build_unit_name(where)}", ENV{{UDISKS_IGNORE}}="1"\n'
    )


def install_mount_files(partition: Partition, where: Path, units: Path = UNITS, rules: Path = RULES) -> list[Path]:
    """Write unit and rule, replacing those of an earlier drive at this mount point. Raises InputError."""
    name = build_unit_name(where)
    rule_file = rules / f"70-site-agent-{name.removesuffix('.mount')}.rules"
    try:
        where.mkdir(parents=True, exist_ok=True)
        rules.mkdir(parents=True, exist_ok=True)
        durable.write_file(units / name, build_mount_unit(partition.uuid, partition.kind, where).encode())
        durable.write_file(rule_file, build_udev_rule(partition.uuid, where).encode())
    except OSError as error:
        raise InputError("setup.cannot_write", file=error.filename, detail=error.strerror) from None
    return [units / name, rule_file]


def read_unit_uuids(where: Path, units: Path = UNITS) -> set[str]:
    """Return the identity of the file system that the mount unit of a folder names; empty where there is no unit."""
    try:
        text = (units / build_unit_name(where)).read_text(encoding="utf-8")
    except OSError:
        return set()
    given = [line.removeprefix("What=/dev/disk/by-uuid/") for line in text.splitlines() if line.startswith("What=")]
    return {uuid for uuid in given if "/" not in uuid}


def mount_drive(where: Path) -> None:
    """Reload systemd and udev, then mount. Raises InputError where the drive cannot be mounted."""
    for command in (
        ["systemctl", "daemon-reload"],
        ["udevadm", "control", "--reload"],
        ["systemctl", "restart", build_unit_name(where)],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError("setup.not_mounted", where=where, detail=error) from None
        if done.returncode != 0:
            raise InputError("setup.not_mounted", where=where, detail=(done.stderr.strip().splitlines() or ["-"])[0])


def chown_to_service(folder: Path, uid: int, gid: int) -> None:
    """Make the service the owner of everything in `folder` that belongs to root.

    File systems without owners refuse, which is ignored. Of a link the owner is changed, never that of its target.
    """
    if os.geteuid() != 0 or uid == 0:
        return
    for path in [folder, *folder.rglob("*")]:
        try:
            if path.lstat().st_uid == 0:
                os.chown(path, uid, gid, follow_symlinks=False)
        except (PermissionError, FileNotFoundError):
            continue


def find_service_ids() -> tuple[int, int] | None:
    """Return user and group ID of the service; None where it is not installed."""
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid

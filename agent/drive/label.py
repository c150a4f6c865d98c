"""Text of the labels (标签.txt) that people read on a drive."""

from __future__ import annotations


def encode_text_file(lines: list[str]) -> bytes:
    """Encode lines as UTF-8 with BOM and CRLF, for Notepad and Excel."""
    return ("\ufeff" + "".join(f"{line}\r\n" for line in lines)).encode("utf-8")


def to_one_line(text: str) -> str:
    """Replace line breaks and other control characters, so that a value stays on one line of a label."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def build_drive_label(*, label: str, drive_id: str, institution: str, created: str, public_key: str) -> bytes:
    """Build 标签.txt of a drive; `created` is a UTC time as text, `public_key` is "" for an unsigned drive."""
    key = public_key or "无（校验和成链，未签名）"
    return encode_text_file(
        [
            "培训录像硬盘",
            f"硬盘标签：{to_one_line(label)}",
            f"硬盘编号：{drive_id}",
            f"培训机构：{to_one_line(institution)}",
            f"启用时间：{created}（UTC）",
            f"签名公钥：{key}",
            "每个班级一个文件夹，打开其中的 目录.html 即可查看；请勿改动本盘任何文件。",
        ]
    )

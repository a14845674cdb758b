"""What an operator hands a command: words and files; what is wrong with them is told by name."""

from pathlib import Path

from deploy.local.errors import LocalStackError


def said(option: str, why: str) -> str:
    """Return why something is done, which is kept for good.

    Raises:
        LocalStackError: it says nothing.
    """
    if not why.strip():
        raise LocalStackError(
            f"{option} 不能空着：请写明原因，会存档。",
            f"{option} must not be empty: say why; it is kept for good.",
        )
    return why.strip()


def read(file: Path) -> bytes:
    """Read what `--file` names.

    Raises:
        LocalStackError: it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise LocalStackError(
            f"--file {file}：读不了（{error.strerror}）。", f"--file {file}: {error.strerror}."
        ) from error


def write(raw: Path, body: bytes) -> None:
    """Write to what `--raw` names.

    Raises:
        LocalStackError: it cannot be written.
    """
    try:
        raw.write_bytes(body)
    except OSError as error:
        raise LocalStackError(
            f"--raw {raw}：写不了（{error.strerror}）。请换一个能写的文件，所在目录要先建好。",
            f"--raw {raw}: {error.strerror}. Name a file that can be written, in a directory that "
            "is there.",
        ) from error

"""What judges are given: a node's tree, what the node said of itself when it was booted, and the tools."""
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3]
BUILD = SOURCE / "build/judges"
TOOLS = BUILD / "tools"


@dataclass
class Figure:
    """One thing that one judge said. `wanted` is a text; `good` says whether the value meets it."""
    judge: str
    name: str
    value: str
    wanted: str
    good: bool
    details: list = field(default_factory=list)


@dataclass
class Node:
    name: str
    folder: Path
    gpu: bool  # keeps SMT and user namespaces: fewer of kernel-hardening-checker's rows can hold
    plain: bool  # Debian without us: figures are recorded, nothing is asked of them

    @property
    def tree(self):
        return self.folder / "tree"

    @property
    def live(self):
        return self.folder / "live"

    def text(self, name):
        return (self.live / name).read_text(errors="replace")

    def has(self, path):
        """Whether the tree has this absolute path."""
        return os.path.lexists(f"{self.tree}{path}")


# A node makes its host keys at first boot; without any, sshd cannot start. A shell script's first lines.
HOST_KEYS = """
sshd -G | sed -n 's/^hostkey //p' | while read -r key; do
  case $key in *rsa*) kind="rsa -b 3072" ;; *ecdsa*) kind=ecdsa ;; *) kind=ed25519 ;; esac
  mkdir -p "$(dirname "$key")"
  [ -e "$key" ] || ssh-keygen -q -N "" -t $kind -f "$key" || exit
done
"""


def chroot(tree, script, *arguments, given="", timeout=600):
    """Runs a shell script in `tree`, in namespaces of its own: no network but loopback, /proc of its own processes, /run and
    /tmp empty, /etc and /var copies that may be written to, the tools at /run/tools; `given` is its input. The tree stays as it is."""
    setup = """set -e
tree=$1; tools=$2; shift 2
ip link set lo up
mount --bind "$tree" "$tree"
cd "$tree"
memory=$(mktemp -d)
mount -t tmpfs tmpfs "$memory"
for folder in etc var; do cp -a $folder "$memory/"; mount --bind "$memory/$folder" $folder; done
for folder in run tmp; do mount -t tmpfs -o mode=1777 tmpfs $folder; done
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
ln -s /proc/self/fd dev/fd
mkdir -p run/sshd run/lock dev/shm dev/pts run/tools
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
if [ -d "$tools" ]; then
  mount --bind "$tools" run/tools
  mount -t proc proc run/tools/proc
  mount --rbind dev run/tools/dev
  mount -t tmpfs tmpfs run/tools/tmp
fi
umount -l "$memory"; rmdir "$memory"
exec chroot . "$@"
"""
    return subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", setup, "setup", str(tree),
         str(TOOLS) if tree != TOOLS else "", "/bin/bash", "-c", script, "judge", *map(str, arguments)],
        capture_output=True, text=True, errors="replace", timeout=timeout, input=given,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb"})

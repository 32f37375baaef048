"""kernel-hardening-checker over the kernel's configuration, the command line and every sysctl of the booted node."""
import json
import shutil
import subprocess

from .node import TOOLS, Figure, chroot

NEEDS_BOOT = True


def judge(node):
    config = next(iter(sorted((node.tree / "boot").glob("config-*"))))
    given = TOOLS / "tmp/kernel"
    given.mkdir(exist_ok=True)
    shutil.copy(config, given / "config")
    shutil.copy(node.live / "cmdline", given / "cmdline")
    shutil.copy(node.live / "sysctl", given / "sysctl")
    done = chroot(TOOLS, "kernel-hardening-checker -m json -c /tmp/kernel/config -l /tmp/kernel/cmdline -s /tmp/kernel/sysctl", cover=())
    shutil.rmtree(given)
    rows = json.loads(done.stdout.strip().splitlines()[-1])
    failed = [row for row in rows if not row["check_result_bool"]]
    passed = len(rows) - len(failed)
    wanted = 248 if node.gpu else 253
    ours = [f'{row["option_name"]} ({row["type"]}): {row["check_result"]}, wanted {row["desired_val"]}' for row in failed if row["type"] != "kconfig"]
    kconfig = len(failed) - len(ours)
    return [Figure("kernel-hardening-checker", "rows OK / FAIL", f"{passed} / {len(failed)}", f">= {wanted} OK", passed >= wanted,
                   ours + [f"and {kconfig} rows of Debian's kernel configuration"])]

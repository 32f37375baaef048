"""A room for several full images: links between machines in a network namespace of its own, data partitions that are
provisioned as an operator would, machines that run until they are told to stop.

The links are bridges; every machine has a tap on each of its links, in the order of LINKS, which is the order of its
cards from PCI slot 8 on. What tags frames (VLAN) or wraps them (VXLAN) are the guests.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

FIRST_SLOT = 8
SECTOR = 512


def run(*argv, **options):
    return subprocess.run(argv, check=True, text=True, capture_output=True, **options).stdout


def is_inside():
    return os.environ.get("INGOT_LAB") == "1"


def enter_namespace():
    """Starts this program again inside a network namespace that ends with it."""
    if is_inside():
        # As process 1 of its namespace it would not hear this otherwise.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
        run("ip", "link", "set", "lo", "up")
        return
    os.environ["INGOT_LAB"] = "1"
    os.execvp("unshare", ["unshare", "--net", "--kill-child", "--fork", "--pid", "--mount-proc", sys.executable, *sys.argv])


class Links:
    """Bridges by name; the lab itself can be a host on one of them."""

    def __init__(self, names, mtu=9000):
        self.names, self.mtu = names, mtu
        for name in names:
            run("ip", "link", "add", f"br-{name}", "mtu", str(mtu), "type", "bridge")
            run("ip", "link", "set", f"br-{name}", "up")

    def tap(self, machine, link):
        name = f"{machine}.{link}"
        run("ip", "tuntap", "add", name, "mode", "tap")
        run("ip", "link", "set", name, "mtu", str(self.mtu), "master", f"br-{link}", "up")
        return name

    def join(self, link, *addresses):
        for address in addresses:
            run("ip", "address", "add", address, "dev", f"br-{link}", *(["nodad"] if ":" in address else []))


def pci_path(index):
    """systemd's ID_PATH of a machine's card, for [network.links] of a profile."""
    return f"pci-0000:00:{FIRST_SLOT + index:02x}.0"


def provision(image, files):
    """Fills the data partition of a copy of a built image, as provisioning before the first boot does: {path: (mode,
    content)} relative to /var/lib/ingot. The partition table stays as it was cast."""
    disk = os.path.join(image, "disk.raw")
    table = json.loads(run("sfdisk", "--json", disk))["partitiontable"]
    data = next(entry for entry in table["partitions"] if entry.get("name") == "data")
    folder, volume = image + ".data", image + ".ext4"
    shutil.rmtree(folder, ignore_errors=True)
    for path, (mode, content) in files.items():
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(target, mode)
    with open(volume, "wb") as file:
        file.truncate(data["size"] * SECTOR)
    run("mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-d", folder, volume)
    run("dd", f"if={volume}", f"of={disk}", "conv=notrunc,sparse", "bs=1M", f"seek={data['start'] * SECTOR // (1 << 20)}")
    shutil.rmtree(folder)
    os.remove(volume)


class Machine:
    """One node under `ingot rig boot --stay`."""

    def __init__(self, ingot, name, image, taps, folder, *options):
        self.name, self.folder = name, folder
        self.evidence = os.path.join(folder, f"{name}.json")
        self.console = os.path.join(folder, f"{name}.log")
        self.options = options
        self.command = [ingot, "rig", "boot", image, "--node", os.path.join(folder, f"{name}.node"), "--node-id", name,
                        "--evidence", self.evidence, "--serial", self.console, "--stay", "--cpus", "1", "--memory", "1536",
                        "--timeout", "1500", *options]
        for tap in taps:
            self.command += ["--tap", tap]
        self.process = None

    def start(self):
        for path in (self.evidence, self.console):
            if os.path.exists(path):
                os.remove(path)
        with open(os.path.join(self.folder, f"{self.name}.out"), "w", encoding="utf-8") as out:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=out, stderr=out)

    def wait(self):
        while not os.path.exists(self.evidence):
            if self.process.poll() is not None:
                with open(os.path.join(self.folder, f"{self.name}.out"), encoding="utf-8") as out:
                    raise RuntimeError(f"{self.name} did not come up: {out.read()[-2000:]}")
            time.sleep(0.5)

    def kill(self):
        """As when the power fails."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self):
        if self.process is None:
            return
        self.process.stdin.close()
        self.process.wait()
        self.process = None

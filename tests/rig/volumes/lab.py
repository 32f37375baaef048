"""What the rig's tests of volumes share: images of profile.toml, nodes that are folders, disks, TPMs that are switched off."""
import glob
import json
import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = "build/rig/volumes"  # set_up() changes into the checkout
VOLUME_TYPE = "C9521CC9-0AB6-4FC8-98B9-A6EA4E3F0988"
MARKER = b"weights of a model that nobody else may read"
failures = []


def check(good, what):
    print(f"{'ok  ' if good else 'FAIL'}  {what}", flush=True)
    if not good:
        failures.append(what)


def output(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


class Lab:
    def __init__(self, ingot, cache):
        self.ingot, self.cache = ingot, cache
        self.keys, self.platform = f"{WORK}/keys", f"{WORK}/platform.json"

    def run(self, *argv):
        subprocess.run([self.ingot, *argv], check=True)

    def cast(self, name, profile_of_rig="profile.toml", signed_by=None, **changes):
        """An image of a profile of this folder with keys of it changed; signed by another key folder than the lab's."""
        profile = f"{WORK}/{name}.toml"
        with open(profile, "w", encoding="utf-8") as file:
            file.write(f'extends = "{os.path.relpath(HERE, WORK)}/{profile_of_rig}"\nname = "volumes"\n')
            file.writelines(f"{key} = {value}\n" for key, value in changes.items())
        self.run("build", profile, "--keys", signed_by or self.keys, "--out", f"{WORK}/{name}", "--cache", self.cache, "--lock", f"{WORK}/volumes.lock")

    def boot(self, image, node, *options):
        """(the way it ended, console, verdict) of one boot of image IMAGE on node NODE."""
        serial, evidence = f"{WORK}/{node}.serial", f"{WORK}/{node}.json"
        done = subprocess.run([self.ingot, "rig", "boot", f"{WORK}/{image}", "--node", f"{WORK}/{node}", "--serial", serial, "--evidence", evidence,
                               "--json", *options], stdout=subprocess.PIPE, text=True, check=False)
        answer = json.loads(done.stdout)
        with open(serial, encoding="utf-8", errors="replace") as file:
            console = re.sub(r"\x1b\[[0-9;:]*m", "", file.read())
        return answer["end"], console, answer["nonce"]

    def enrol(self, node):
        """Binds NODE to the TPM that it has, switched off."""
        name, agent = f"{WORK}/{node}", os.path.join(os.path.dirname(self.ingot), "ingot-agent")
        with open(f"{name}.roots", "wb") as roots:
            for certificate in sorted(glob.glob(f"{name}/tpm/ca/*cert.pem")):
                with open(certificate, "rb") as file:
                    roots.write(file.read())
        with Tpm(node) as tpm:
            subprocess.run([agent, "identity", "--tpm", tpm.socket, "--out", f"{name}.identity"], check=True)
            self.run("enroll", "challenge", "--node", node, "--identity", f"{name}.identity", "--roots", f"{name}.roots", "--challenge",
                     f"{name}.challenge", "--pending", f"{name}.pending")
            subprocess.run([agent, "activate", "--tpm", tpm.socket, "--challenge", f"{name}.challenge", "--out", f"{name}.activation"], check=True)
        self.run("enroll", "finish", "--pending", f"{name}.pending", "--activation", f"{name}.activation", "--keys", self.keys, "--store", f"{WORK}/nodes")

    def verdict(self, image, node, nonce, *options):
        done = subprocess.run([self.ingot, "verify", *options, "--baseline", f"{WORK}/{image}/baseline.json", "--platform", self.platform, "--key",
                               f"{self.keys}/baseline.pub", "--evidence", f"{WORK}/{node}.json", "--nonce", nonce, "--json"],
                              stdout=subprocess.PIPE, text=True, check=False)
        answer = json.loads(done.stdout)
        return answer["verdict"], [f"{one['kind']} {one['subject']}" for one in answer["findings"]]


def raw_disk(node, base=None):
    """The node's disk as it is now, in one file; over `base` where what it was over is gone."""
    out = f"{WORK}/{node}.raw"
    if base:
        subprocess.run(["qemu-img", "rebase", "-u", "-F", "raw", "-b", os.path.abspath(base), f"{WORK}/{node}/disk.qcow2"], check=True)
    subprocess.run(["qemu-img", "convert", "-O", "raw", f"{WORK}/{node}/disk.qcow2", out], check=True)
    return out


def volumes_of(disk):
    """Name -> (offset, size) in bytes of each volume's partition, in their order."""
    partitions = json.loads(output("sfdisk", "--json", disk))["partitiontable"]["partitions"]
    return {one["name"]: (one["start"] * 512, one["size"] * 512) for one in partitions if one["type"] == VOLUME_TYPE}


def read_volume(disk, name="models"):
    offset, size = volumes_of(disk)[name]
    with open(disk, "rb") as file:
        file.seek(offset)
        return file.read(size)


def header_of(disk, name="models"):
    header = f"{disk}.header"
    with open(header, "wb") as file:
        file.write(read_volume(disk, name)[: 16 << 20])
    dump = json.loads(output("cryptsetup", "luksDump", "--dump-json-metadata", header))
    os.remove(header)
    return dump


def contains(path, what):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(what) >= 0


def image_with(name, image, disk):
    """A folder that boots `disk` as image IMAGE boots its own."""
    folder = f"{WORK}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    os.link(disk, f"{folder}/disk.raw")
    shutil.copy(f"{WORK}/{image}/VARS.fd", folder)
    return name


def append(disk, name, volume):
    script = f"type={VOLUME_TYPE}, name={name}, size={len(volume) // 512}\n"
    subprocess.run(["sfdisk", "--quiet", "--append", disk], input=script, text=True, check=True)
    with open(disk, "r+b") as file:
        file.seek(volumes_of(disk)[name][0])
        file.write(volume)


def graft(image, volume, out):
    """The disk of IMAGE with a volume in the room that it has for one: what redeployment does that keeps the data."""
    subprocess.run(["cp", "--sparse=always", f"{WORK}/{image}/disk.raw", out], check=True)
    append(out, "models", volume)


def graft_all(image, disk, out):
    """The same with all volumes of another disk."""
    subprocess.run(["cp", "--sparse=always", f"{WORK}/{image}/disk.raw", out], check=True)
    for name in volumes_of(disk):
        append(out, name, read_volume(disk, name))


class Tpm:
    """The TPM of a node that is switched off, for tpm2-tools."""

    def __init__(self, node):
        self.socket = os.path.abspath(f"{WORK}/{node}.tpm")
        self.process = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={WORK}/{node}/tpm", "--server", f"type=unixio,path={self.socket}",
                                         "--ctrl", f"type=unixio,path={self.socket}.ctrl", "--flags", "startup-clear"])
        while not os.path.exists(self.socket + ".ctrl"):
            time.sleep(0.05)

    def __enter__(self):
        return self

    def tool(self, *argv):
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "TPM2TOOLS_TCTI": f"swtpm:path={self.socket}"})

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def copy_node(node, to, tpm=True):
    """The node with its TPM and variables, switched off, without its disk."""
    shutil.rmtree(f"{WORK}/{to}", ignore_errors=True)
    os.makedirs(f"{WORK}/{to}")
    if tpm:
        shutil.copytree(f"{WORK}/{node}/tpm", f"{WORK}/{to}/tpm", ignore=shutil.ignore_patterns("*.lock"))
    shutil.copy(f"{WORK}/{node}/VARS.fd", f"{WORK}/{to}/VARS.fd")


def set_up(profile="profile.toml"):
    """Keys, an image and its platform, from nothing; arguments of the program: INGOT [CACHE]."""
    ingot = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/release/ingot")
    cache = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else "build/cache")
    os.chdir(os.path.join(HERE, "../../.."))
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    lab = Lab(ingot, cache)
    lab.run("keys", "init", lab.keys)
    lab.cast("v1", profile, version=1)
    lab.run("rig", "learn", f"{WORK}/v1", "--keys", lab.keys, "--out", lab.platform)
    return lab


def end_of(name):
    print(f"{name}: {len(failures)} of the checks failed" if failures else f"{name}: all checks passed")
    return 1 if failures else 0

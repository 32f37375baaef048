#!/usr/bin/env python3
"""Real packets between network namespaces, for segment_*_test.cpp.

Reads {"probes": [...]} from standard input and prints a list of booleans: did the probe pass?
  raw:              one packet as described, from a raw socket; passed when a raw socket of `to`, which netfilter feeds
                    last, got it
  tcp, udp, icmp:   a whole exchange with real sockets: connect and a line back, a datagram and its answer, ping
"""
import ctypes
import json
import os
import select
import socket
import struct
import sys
import threading
import time

libc = ctypes.CDLL("libc.so.6", use_errno=True)
HOME = os.open("/proc/self/ns/net", os.O_RDONLY)
SETTLE_SECONDS = 0.4
ANSWER_SECONDS = 0.5
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33  # asm-generic/socket.h
SALT = os.getpid() * 4099  # no exchange of an earlier run is known to connection tracking as this one
MAGIC = b"ingot-probe-"


def enter(name):
    fd = os.open("/run/netns/" + name, os.O_RDONLY)
    try:
        if libc.setns(fd, 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns " + name)
    finally:
        os.close(fd)


def make(name, *arguments):
    """A socket of that namespace."""
    enter(name)
    try:
        return socket.socket(*arguments)
    finally:
        libc.setns(HOME, 0x40000000)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def segment_of(probe, family, source, destination, number):
    """Transport header and a payload that names the probe."""
    payload = MAGIC + b"%06d" % number
    protocol, sport, dport = probe["protocol"], probe["source_port"], probe["destination_port"]
    if protocol == 6:
        head, at = struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 0x50, probe["flags"], 1024, 0, 0), 16
    elif protocol == 17:
        head, at = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0), 6
    elif protocol in (1, 58):
        head, at = struct.pack("!BBHHH", dport, sport, 0, (number + SALT) & 0xFFFF, 1), 2
    else:
        return payload
    pseudo = b""
    if protocol != 1:
        pseudo = source + destination + (
            struct.pack("!BBH", 0, protocol, len(head + payload)) if family == 4
            else struct.pack("!IHBB", len(head + payload), 0, 0, protocol))
    value = checksum(pseudo + head + payload) or 0xFFFF
    return head[:at] + struct.pack("!H", value) + head[at + 2:] + payload


def packet_of(probe, number):
    kind = socket.AF_INET6 if ":" in probe["destination"] else socket.AF_INET
    source = socket.inet_pton(kind, probe["source"])
    destination = socket.inet_pton(kind, probe["destination"])
    body = segment_of(probe, 4 if kind == socket.AF_INET else 6, source, destination, number)
    if kind == socket.AF_INET:
        return kind, struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, probe["protocol"], 0) + \
            source + destination + body
    return kind, struct.pack("!IHBB", 6 << 28, len(body), probe["protocol"], 255) + source + destination + body


def run_raw(probes):
    passed = set()
    listeners = []
    for name in {probe["to"] for probe in probes}:
        for kind, protocols in ((socket.AF_INET, (1, 6, 17, 47)), (socket.AF_INET6, (58, 6, 17, 47))):
            for protocol in protocols:
                listener = make(name, kind, socket.SOCK_RAW, protocol)
                listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
                listener.setblocking(False)
                listeners.append((listener, name))
    owners = {listener.fileno(): name for listener, name in listeners}

    def collect(seconds):
        end = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([one for one, _ in listeners], [], [], max(0, end - time.monotonic()))
            if not ready:
                return
            for one in ready:
                data = one.recv(65536)
                at = data.rfind(MAGIC)
                if at < 0:
                    continue
                number = int(data[at + len(MAGIC):at + len(MAGIC) + 6])
                # An ICMP error quotes the packet; it is no arrival at the probe's own destination.
                if number < len(probes) and probes[number]["to"] == owners[one.fileno()]:
                    passed.add(number)

    senders = {}
    for number, probe in enumerate(probes):
        kind, packet = packet_of(probe, number)
        key = probe["from"], kind
        if key not in senders:
            senders[key] = make(probe["from"], kind, socket.SOCK_RAW, socket.IPPROTO_RAW)
            senders[key].setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20)
        try:
            senders[key].sendto(packet, (probe["destination"], 0))
        except OSError:
            pass  # netfilter says EPERM, routing says unreachable: it does not pass
        if number % 64 == 63:
            collect(0)
    collect(SETTLE_SECONDS)
    for one in senders.values():
        one.close()
    for one, _ in listeners:
        one.close()
    return [number in passed for number in range(len(probes))]


def exchange(probe, results, number):
    kind = socket.AF_INET6 if ":" in probe["destination"] else socket.AF_INET
    try:
        results[number] = {"tcp": by_tcp, "udp": by_udp, "icmp": by_icmp}[probe["kind"]](probe, kind)
    except OSError:
        results[number] = False


def pair_of(probe, kind, style):
    server = make(probe["to"], kind, style)
    client = make(probe["from"], kind, style)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if kind == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.settimeout(ANSWER_SECONDS)
    client.settimeout(ANSWER_SECONDS)
    server.bind((probe["destination"], probe["port"]))
    client.bind((probe["source"], 0))
    return server, client


def by_tcp(probe, kind):
    server, client = pair_of(probe, kind, socket.SOCK_STREAM)
    with server, client:
        server.listen()
        client.connect((probe["destination"], probe["port"]))
        accepted, _ = server.accept()
        with accepted:
            accepted.settimeout(ANSWER_SECONDS)
            client.sendall(b"ping")
            accepted.recv(4)
            accepted.sendall(b"pong")
            return client.recv(4) == b"pong"


def by_udp(probe, kind):
    server, client = pair_of(probe, kind, socket.SOCK_DGRAM)
    with server, client:
        client.sendto(b"ping", (probe["destination"], probe["port"]))
        _, peer = server.recvfrom(16)
        server.sendto(b"pong", peer)
        return client.recv(16) == b"pong"


def by_icmp(probe, kind):
    protocol = socket.IPPROTO_ICMP if kind == socket.AF_INET else socket.IPPROTO_ICMPV6
    client = make(probe["from"], kind, socket.SOCK_RAW, protocol)
    request, reply = (8, 0) if kind == socket.AF_INET else (128, 129)
    with client:
        client.bind((probe["source"], 0))
        mark = os.urandom(8)
        head = struct.pack("!BBHHH", request, 0, 0, os.getpid() & 0xFFFF, 1)
        value = checksum(head + mark) if kind == socket.AF_INET else 0
        client.sendto(head[:2] + struct.pack("!H", value) + head[4:] + mark, (probe["destination"], 0))
        end = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < end:
            client.settimeout(max(0.001, end - time.monotonic()))
            data = client.recv(2048)
            at = (data[0] & 15) * 4 if kind == socket.AF_INET else 0
            if data[at] == reply and data.endswith(mark):
                return True
    return False


def run_exchanges(probes):
    results = [False] * len(probes)
    # Two exchanges with one server address would be in each other's way: rounds of different ones, all at once. A thread
    # has a namespace of its own.
    waiting = list(enumerate(probes))
    while waiting:
        now, later, used = [], [], set()
        for number, probe in waiting:
            key = probe["to"], probe["destination"], probe["kind"], probe.get("port")
            if key in used or len(now) >= 100:
                later.append((number, probe))
                continue
            used.add(key)
            now.append((number, probe))
        threads = [threading.Thread(target=exchange, args=(probe, results, number)) for number, probe in now]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        waiting = later
    return results


def main():
    probes = json.load(sys.stdin)["probes"]
    raw = [(number, probe) for number, probe in enumerate(probes) if probe["kind"] == "raw"]
    rest = [(number, probe) for number, probe in enumerate(probes) if probe["kind"] != "raw"]
    results = [False] * len(probes)
    for group, run in ((raw, run_raw), (rest, run_exchanges)):
        if group:
            for (number, _), passed in zip(group, run([probe for _, probe in group])):
                results[number] = passed
    json.dump(results, sys.stdout)


main()

"""As much of a DHCPv4 server (RFC 2131) as one link of a laboratory needs: every card gets the same address each time, by its
MAC, for a day; no router, no names.

  dhcp.py INTERFACE SERVER-ADDRESS FIRST-ADDRESS NETMASK
"""
import ipaddress
import socket
import struct
import sys

DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
COOKIE = b"\x63\x82\x53\x63"


def options_of(data):
    found, at = {}, 240
    while at < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        found[data[at]] = data[at + 2:at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found


def answer(data, kind, address, server, mask):
    reply = struct.pack("!BBBBIHH4s4s4s4s", 2, 1, 6, 0, struct.unpack("!I", data[4:8])[0], 0, 0x8000, b"\0" * 4, address.packed, server.packed, b"\0" * 4)
    reply += data[28:44] + b"\0" * 192 + COOKIE
    return reply + bytes([53, 1, kind, 54, 4]) + server.packed + bytes([51, 4]) + struct.pack("!I", 86400) + bytes([1, 4]) + mask.packed + b"\xff"


def main():
    interface, server, first, mask = sys.argv[1], *(ipaddress.IPv4Address(text) for text in sys.argv[2:5])
    known = {}
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    wire.bind(("0.0.0.0", 67))
    while True:
        data = wire.recv(2048)
        if len(data) < 240 or data[0] != 1 or data[236:240] != COOKIE:
            continue
        kind = options_of(data).get(53, b"\0")[0]
        address = known.setdefault(data[28:34], first + len(known))
        if kind in (DISCOVER, REQUEST):
            wire.sendto(answer(data, OFFER if kind == DISCOVER else ACK, address, server, mask), ("255.255.255.255", 68))
            print(f"dhcp: {address} to {data[28:34].hex(':')}", flush=True)


if __name__ == "__main__":
    main()

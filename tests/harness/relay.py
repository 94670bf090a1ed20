#!/usr/bin/python3
"""Relays on hosts of harness/netns.py, in one process: relay.py PLACE < lines; each line is one relay in JSON.

  {"space": S, "listen": [ADDRESS, PORT], "unix": PATH}                     hands through, such as to PostgreSQL's socket
  {"space": S, "listen": [A, P], "to": [A, P], "seed": N, "first": [...]}   stands in for the controller at A

The second kind does to its connections what `first` says in turn, and to all after those it is slow: pieces of random size, each up
to 150 ms late, so that what two connections carry changes places.
  cut   after some bytes it forwards half of what it holds, in the middle of a frame, and ends both sides
  late  what the client says once the handshake is over is held back; the client's side is ended; the server gets it only after
        the next connection has carried its own first words. So a dead connection speaks after its successor
  plain hands through
Prints `ready`, then a line for each thing that was done. Ends with its standard input.
"""
import asyncio
import json
import random
import sys
import threading

sys.dont_write_bytecode = True
import netns  # noqa: E402

HANDSHAKE = 240          # bytes a CURVE server has sent before its last word of the handshake
LATE_S = 0.5


def say(**what):
    print(json.dumps(what), flush=True)


class Relay:
    def __init__(self, net, spec):
        self.net, self.spec, self.number = net, spec, 0
        self.random = random.Random(spec.get("seed", 0))
        self.successor = asyncio.Event()

    async def open(self):
        listening = self.net.socket(self.spec["space"])
        listening.setsockopt(netns.socket.SOL_SOCKET, netns.socket.SO_REUSEADDR, 1)
        listening.bind(tuple(self.spec["listen"]))
        listening.setblocking(False)
        await asyncio.start_server(self.accept, sock=listening, backlog=64)

    async def dial(self):
        if "unix" in self.spec:
            return await asyncio.open_unix_connection(self.spec["unix"])
        out = self.net.socket(self.spec["space"])
        out.setblocking(False)
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(out, tuple(self.spec["to"])), 10)
        return await asyncio.open_connection(sock=out)

    async def accept(self, reader, writer):
        plan = self.spec.get("first", [])
        mode = "plain" if "unix" in self.spec else plan[self.number] if self.number < len(plan) else "slow"
        self.number += 1
        try:
            there_reader, there = await self.dial()
        except (OSError, asyncio.TimeoutError):
            writer.transport.abort()
            return
        if "to" in self.spec:
            say(space=self.spec["space"], connection=self.number, mode=mode)
        way = Way(self, mode, (reader, writer), (there_reader, there))
        await way.run()


class Way:
    """One connection."""

    def __init__(self, relay, mode, client, server):
        self.relay, self.mode, self.client, self.server = relay, mode, client, server
        self.heard, self.held, self.ended, self.late = 0, b"", False, None
        self.left = relay.random.randrange(600, 9000) if mode == "cut" else 0

    def end(self, *sides):
        for side in sides or (self.client, self.server):
            side[1].transport.abort()
        self.ended = self.ended or not sides

    async def run(self):
        await asyncio.gather(self.pump(self.client, self.server, True), self.pump(self.server, self.client, False))
        if self.late:
            await self.late
        self.end()

    async def pump(self, source, target, up):
        try:
            while not self.ended and (data := await source[0].read(65536)):
                if not up:
                    self.heard += len(data)
                    if self.late:            # whom it was for is gone
                        continue
                elif self.heard > HANDSHAKE and await self.first_words(data):
                    continue
                await self.forward(target[1], data)
        except OSError:
            pass
        if not self.late:
            self.end()

    async def first_words(self, data):
        """What a client says of its own. True when it is held back."""
        if self.mode != "late":
            self.relay.successor.set()
            return False
        if not self.held:
            self.relay.successor.clear()
            self.late = asyncio.get_running_loop().create_task(self.speak_late())
        self.held += data
        return True

    async def speak_late(self):
        await asyncio.sleep(0.05)
        say(space=self.relay.spec["space"], held=len(self.held))
        self.end(self.client)
        await self.relay.successor.wait()
        await asyncio.sleep(LATE_S)
        try:
            self.server[1].write(self.held)
            await self.server[1].drain()
            say(space=self.relay.spec["space"], late=len(self.held))
            await asyncio.sleep(LATE_S)
        except OSError as error:
            say(space=self.relay.spec["space"], failed=str(error))
        self.end(self.server)
        self.ended = True

    async def forward(self, writer, data):
        if self.mode == "cut" and len(data) >= self.left:
            writer.write(data[:max(1, self.left // 2)])
            await asyncio.sleep(0.05)
            say(space=self.relay.spec["space"], cut=len(data))
            self.end()
            return
        self.left -= len(data)
        while data:
            size = len(data)
            if self.mode == "slow":
                await asyncio.sleep(self.relay.random.uniform(0, 0.15) if self.relay.random.random() < 0.5 else 0)
                size = self.relay.random.choice((1, 7, 64, 1500, 65536))
            writer.write(data[:size])
            await writer.drain()
            data = data[size:]


class Spaces:
    """What Relay needs of a Net that another process made."""

    def space(self, name):
        return name

    socket = netns.Net.socket


async def main(specs):
    relays = [Relay(Spaces(), spec) for spec in specs]
    for relay in relays:
        await relay.open()
    print("ready", flush=True)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(over.set)), daemon=True).start()
    await over.wait()


if __name__ == "__main__":
    given = []
    for line in sys.stdin:
        if line == "\n":
            break
        given.append(json.loads(line))
    asyncio.run(main(given))

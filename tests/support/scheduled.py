"""A yourfintech venue, in a process of its own, that sends each message when it is due, however fast anybody listens.

    python -m support.scheduled MESSAGES RATE    # MESSAGES: a file, a message a line; RATE: messages a second

Prints its port; to who comes, when it began (seconds since 1970), so message n is due at that + n / RATE; and at the end
how late it was itself, in seconds, at worst. Stays until it is killed.
"""

import sys
import time
from pathlib import Path

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import AcceptConnection, Ping, Request, TextMessage
from wsproto.utilities import RemoteProtocolError

WELCOME = '{"message_type":{"server_message":{"auth_result":{"result":"success"}}}}'


def frames(texts):
    """As they go out on a connection that is open already; made before anybody comes."""
    connection = Connection(ConnectionType.SERVER)
    return [connection.send(TextMessage(data=text)) for text in texts]


def say(what):
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def hear(stream, socket, what):
    while True:
        socket.receive_data(await stream.receive_some())
        for event in socket.events():
            if isinstance(event, what):
                return event


async def serve(stream, ready, rate):
    socket = WSConnection(ConnectionType.SERVER)
    await hear(stream, socket, Request)
    await stream.send_all(socket.send(AcceptConnection()))
    await hear(stream, socket, TextMessage)
    await stream.send_all(frames([WELCOME])[0])
    sending = trio.Lock()

    async def answer_pings():
        while True:
            ping = await hear(stream, socket, Ping)
            async with sending:
                await stream.send_all(socket.send(ping.response()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_pings)
        begun, latest = trio.current_time(), 0.0
        say(time.time())
        for number, frame in enumerate(ready):
            due = begun + number / rate
            await trio.sleep_until(due)
            latest = max(latest, trio.current_time() - due)
            async with sending:
                await stream.send_all(frame)
        say(latest)


async def main(messages, rate):
    ready = frames(messages)

    async def peer(stream):
        try:
            await serve(stream, ready, rate)
        except* (trio.BrokenResourceError, RemoteProtocolError):
            pass  # the daemon was stopped

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, peer, listeners)
        say(listeners[0].socket.getsockname()[1])


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]).read_text().splitlines(), float(sys.argv[2]))

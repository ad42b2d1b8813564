#!/usr/bin/env bash
# asyncio (CPython 3.11) turns Nagle's algorithm off for the connections of a server, so that small writes leave at once.
# Of a server on a socket that was made beforehand, as who wants to know early whether a port is free does, it does so
# only if the socket names its protocol: `socket.socket(AF_INET, SOCK_STREAM)` has the protocol 0, which the kernel takes
# for TCP and asyncio's check (`sock.proto == IPPROTO_TCP`) does not. Every reply in two writes, head and body, then waits
# for the client's delayed acknowledgement, 40 ms on Linux. uvicorn with `sockets=[...]` inherits this.
set -euo pipefail
python3 - <<'PY'
import asyncio
import socket


async def nodelay(protocol: int) -> int:
    found = asyncio.get_running_loop().create_future()

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    listener.bind(("127.0.0.1", 0))
    async with await asyncio.start_server(connected, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        result = await found
        writer.close()
    return result


unnamed, named = (asyncio.run(nodelay(protocol)) for protocol in (0, socket.IPPROTO_TCP))
print(f"TCP_NODELAY of a connection: {unnamed} with protocol 0, {named} with IPPROTO_TCP")
assert named != 0, "connections of a socket that names TCP wait, too"
assert unnamed == 0, "connections of a socket that names no protocol do not wait any more"
PY
echo "as described"

"""A port that takes connections when it is told to, in front of the port in the first argument: prints its own port, then a line for each thing done.

hold  takes none from now on: a connection of its own fills the queue (listen(2): a backlog of 0 holds one), so that another's SYN is dropped
go    takes them again
Each connection that ended is told with how many bytes came on it."""

import select
import socket
import sys
import threading

upstream = int(sys.argv[1])
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(0)
filler = None
lock = threading.Lock()


def say(*words):
    with lock:
        print(*words, flush=True)


def pump(source, target, count):
    total = 0
    try:
        while data := source.recv(65536):
            total += len(data)
            target.sendall(data)
    except OSError:
        pass
    for one in (source, target):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
    if count:
        say("ended", total)


def serve(taken):
    inner = socket.create_connection(("127.0.0.1", upstream))
    threading.Thread(target=pump, args=(inner, taken, False), daemon=True).start()
    pump(taken, inner, True)


say(listener.getsockname()[1])
while True:
    watched = [sys.stdin] if filler is not None else [sys.stdin, listener]
    ready, _, _ = select.select(watched, [], [])
    if sys.stdin in ready:
        word = sys.stdin.readline().strip()
        if word == "hold":
            filler = socket.create_connection(listener.getsockname())
            say("held")
        elif word == "go":
            filler.close()
            filler = None
            say("taking")
        else:
            break
    elif listener in ready:
        taken, _ = listener.accept()
        threading.Thread(target=serve, args=(taken,), daemon=True).start()

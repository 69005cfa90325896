import { spawn } from "node:child_process";

const PROGRAM = "/usr/bin/systemd-notify";
const AGAIN_MS = 1000;

/**
 * Tells systemd by a child: the runtime has no unix datagrams. One at a time: while systemd takes none, there is no use in more. `--ready` is
 * said once by the agent, and without it the unit never starts: it is sent again until a child has ended with 0. `socket`: NOTIFY_SOCKET.
 */
export function notifier(socket: string | undefined, warn: (text: string) => void): (...words: string[]) => void {
  if (socket === undefined) return () => undefined;
  let telling = false;
  const tell = (...words: string[]): void => {
    const ready = words.includes("--ready");
    const again = (): void => void setTimeout(() => tell(...words), AGAIN_MS).unref();
    if (telling) {
      if (ready) again();
      return;
    }
    telling = true;
    const child = spawn(PROGRAM, words, { stdio: "ignore", env: { NOTIFY_SOCKET: socket } });
    child.on("error", (error) => warn(`warn: systemd could not be told: ${error.message}\n`));
    // It comes after an error too, with a code below 0.
    child.on("close", (code) => {
      telling = false;
      if (code === 0 || !ready) return;
      warn("warn: systemd has not taken that the agent is ready; it is told again\n");
      again();
    });
  };
  return tell;
}

import { type ChildProcess, spawn } from "node:child_process";

/** All that a child is given of our environment: nothing that could bend how an executable starts or whom it trusts. */
export const CLEAN: Readonly<Record<string, string>> = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" };
/** For one command, and for one thing to become so: a machine may be eight times slower than an idle one. */
const COMMAND_MS = 120_000;
const PATIENCE_MS = 300_000;

export type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** Runs a program to its end, whatever its exit code. */
export function ran(argv: readonly string[], input = ""): Promise<Ran> {
  const [program = "", ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: CLEAN, stdio: ["pipe", "pipe", "pipe"], timeout: COMMAND_MS });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
    // What does not read its input may have closed it.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

/** The same for what must work; its stdout. */
export async function must(...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await ran(argv);
  if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${stdout}${stderr}`);
  return stdout;
}

/** Looks again and again until there is something; throws with what `instead` says when there never is. */
export async function until<T>(
  what: string,
  look: () => T | null | Promise<T | null>,
  instead: () => string | Promise<string> = () => "",
): Promise<T> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > end) throw new Error(`it never came to be: ${what}\n${await instead()}`);
    await Bun.sleep(100);
  }
}

/** Waits for the end of a child; its exit code, or null where a signal ended it. */
export function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once("exit", (code) => resolve(code)));
}

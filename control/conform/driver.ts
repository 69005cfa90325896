import { spawn } from "node:child_process";
import { z } from "zod";
import { Unmet, Unseen } from "./case.ts";
import { jsonOf } from "./line.ts";

const DRIVER_MS = 30_000;
const DOES_NOT = 3;

/** What a command asks for; the control plane adds whom, when and by whose key. `seconds`: how long it is good. */
export type Wish = {
  readonly action: "scale" | "issue-certificate" | "update-dns";
  readonly args: Readonly<Record<string, unknown>>;
  readonly seconds: number;
  readonly dry_run: boolean;
};

/** What PROTOCOL.md leaves to a control plane's operator: docs/CONFORMANCE.md. Each throws Unseen for what the control plane does not do. */
export type Driver = {
  /** The thumbprint that the customers' configs pin. */
  pin(): Promise<string>;
  /** A join token for this cluster, good for so many seconds. */
  token(cluster: string, seconds: number): Promise<string>;
  /** Signs and queues a command; its id. */
  send(cluster: string, wish: Wish): Promise<string>;
  /** As PROTOCOL.md names the states. `code`: of a refusal or failure, if it is known. */
  state(id: string): Promise<{ readonly state: string; readonly code: string | null }>;
  cancel(id: string): Promise<void>;
  /** Signs the cluster's next trust statement, with one more command key; its version. */
  rotate(cluster: string): Promise<number>;
  unfence(cluster: string, epoch: number): Promise<void>;
  /** Keeps a signed manifest of this cluster, for its agent to ask for. */
  manifest(cluster: string, note: string): Promise<void>;
};

const Answers = {
  pin: z.strictObject({ trust_sha256: z.string() }),
  token: z.strictObject({ token: z.string() }),
  send: z.strictObject({ id: z.string() }),
  state: z.strictObject({ state: z.string(), code: z.string().nullable() }),
  nothing: z.strictObject({}),
  rotate: z.strictObject({ version: z.number().int() }),
};

/** A program of whoever wrote the control plane: words in, one line of JSON out. Exit 0: done; 3: it does not do this; else it failed. */
export function programDriver(command: string): Driver {
  async function ask<T>(schema: z.ZodType<T>, words: readonly string[], input = ""): Promise<T> {
    const { code, stdout, stderr } = await ran(command, words, input);
    if (code === DOES_NOT) throw new Unseen(`the driver does not do ${words[0]}`);
    if (code !== 0) throw new Unmet(`the driver's ${words[0]} ended with ${code}: ${stderr.trim().slice(0, 200)}`);
    const read = schema.safeParse(jsonOf(stdout));
    if (read.success) return read.data;
    throw new Unmet(`the driver's ${words[0]} answered ${JSON.stringify(stdout.slice(0, 120))}`);
  }
  return {
    pin: async () => (await ask(Answers.pin, ["pin"])).trust_sha256,
    token: async (cluster, seconds) => (await ask(Answers.token, ["token", cluster, String(seconds)])).token,
    send: async (cluster, wish) => (await ask(Answers.send, ["send", cluster], `${JSON.stringify(wish)}\n`)).id,
    state: (id) => ask(Answers.state, ["state", id]),
    cancel: async (id) => void (await ask(Answers.nothing, ["cancel", id])),
    rotate: async (cluster) => (await ask(Answers.rotate, ["rotate", cluster])).version,
    unfence: async (cluster, epoch) => void (await ask(Answers.nothing, ["unfence", cluster, String(epoch)])),
    manifest: async (cluster, note) =>
      void (await ask(Answers.nothing, ["manifest", cluster], `${JSON.stringify({ note })}\n`)),
  };
}

type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** `command` is words for a shell, the rest is handed over as it is. */
function ran(command: string, words: readonly string[], input: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn("/bin/sh", ["-c", `${command} "$@"`, "driver", ...words], { stdio: ["pipe", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    const late = setTimeout(() => child.kill("SIGKILL"), DRIVER_MS);
    child.stdout.on("data", (part: Buffer) => {
      stdout += part.toString();
    });
    child.stderr.on("data", (part: Buffer) => {
      stderr += part.toString();
    });
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(late);
      resolve({ code, stdout, stderr });
    });
    // A driver that reads nothing may have ended by now.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

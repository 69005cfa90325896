import type { ChildProcess } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLog } from "../../agent/audit/log.ts";
import { inclusionProof, leafHash } from "../../agent/audit/tree.ts";
import { realHost } from "../../agent/host/real.ts";
import { started as startedEntry, type World } from "../audit/world.ts";
import { CONTROL, type Ran, ran } from "../e2e/world.ts";
import { ended, started } from "./counterpart.ts";

export type Ready = { readonly url: string; readonly name: string; readonly key: string; readonly ca: string | null };
/** `reeve-control witness` in a folder of its own. */
export type Witness = {
  readonly dir: string;
  ready: Ready;
  start(...flags: string[]): Promise<void>;
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  show(): Ran & { readonly told: Shown };
  post(path: string, body: string): Promise<{ readonly status: number; readonly text: string; readonly type: string }>;
  end(): Promise<void>;
};
export type Shown = {
  readonly logs: readonly { origin: string; size: number; cosigned_at: string | null; ended_by: string | null }[];
  readonly refused: readonly { origin: string; kind: string; words: string; note: string }[];
};

/** A witness that takes logs under this CA, over plain HTTP on loopback. */
export function witness(caPem: string): Witness {
  const dir = mkdtempSync(join(tmpdir(), "reeve-witness-"));
  const ca = join(dir, "vendor.pem");
  writeFileSync(ca, caPem);
  const state = join(dir, "state");
  let child: ChildProcess | null = null;
  const self: Witness = {
    dir: state,
    ready: { url: "", name: "", key: "", ca: null },
    async start(...flags) {
      // The port that the first start took: an agent's config names it.
      const port = self.ready.url === "" ? "0" : new URL(self.ready.url).port;
      const at = ["--listen", `127.0.0.1:${port}`, ...(flags.length > 0 ? flags : ["--plain"])];
      const run = await started<Ready>(CONTROL, ["witness", "serve", "--dir", state, "--ca", ca, ...at]);
      child = run.child;
      self.ready = run.said;
    },
    async stop(signal = "SIGTERM") {
      if (child !== null) await ended(child, signal);
    },
    show() {
      const done = ran(CONTROL, "witness", "show", "--dir", state, "--json");
      return { ...done, told: JSON.parse(done.stdout) as Shown };
    },
    async post(path, body) {
      const answer = await fetch(`${self.ready.url}${path}`, { method: "POST", body });
      return { status: answer.status, text: await answer.text(), type: answer.headers.get("content-type") ?? "" };
    },
    async end() {
      await self.stop("SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return self;
}

export function linesIn(folder: string): string[] {
  return readFileSync(join(folder, "00000000000000000000.jsonl"), "utf8").trimEnd().split("\n");
}

/** The newest head of each size in a log's folder. */
export function headsIn(folder: string): ReadonlyMap<number, string> {
  const parts = readFileSync(join(folder, "checkpoints"), "utf8").split("\n\n");
  const heads = new Map<number, string>();
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const note = `${parts[at]}\n\n${parts[at + 1]}\n`;
    heads.set(Number(note.split("\n")[1]), note);
  }
  return heads;
}

/** A log of `entries` lines, closed. */
export function filled(w: World, entries: number): void {
  const log = w.open();
  while (log.size < entries) log.append([startedEntry]);
  log.close();
}

/** Another life of the same log from here on: a copy of its folder. */
export function copied(w: World, name: string): World {
  const folder = `${w.folder}-${name}`;
  if (!existsSync(folder)) cpSync(w.folder, folder, { recursive: true });
  return { ...w, folder, open: (host = realHost(), more = {}) => openLog(host, folder, { ...w.as, ...more }) };
}

/** What `add-log` is asked for a log's entry 0, proven in its head of `size` entries. */
export function addLogBody(folder: string, size: number): string {
  const lines = linesIn(folder);
  const proof = inclusionProof(lines.slice(0, size).map(leafHash), 0).map((hash) => hash.toString("base64"));
  return JSON.stringify({ namings: [{ entry: lines[0], proof }], checkpoint: headsIn(folder).get(size) });
}

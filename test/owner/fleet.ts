import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AGENT, CONTROL, type Ran, REEVE, ran, type World } from "../e2e/world.ts";

/** Another cluster of the same vendor: a machine of its own with the compiled agent on it. */
export type Customer = {
  readonly name: string;
  readonly folder: string;
  readonly owner: string;
  readonly config: string;
  policy(text: string): void;
  start(...before: string[]): ChildProcess;
  reeve(verb: string[], ...more: string[]): Ran;
  /** What the agent has logged so far. */
  log(): string;
  entries(): Record<string, unknown>[];
};

/** `plane`: where it joins; without it, the world's control plane. */
export function customer(
  w: World,
  name: string,
  policy: string,
  plane?: { readonly enrol: string; readonly token: string },
): Customer {
  const folder = join(w.folder, name);
  const path = (file: string): string => join(folder, file);
  mkdirSync(folder, { mode: 0o755 });
  mkdirSync(path("owner"), { mode: 0o755 });
  const thumbprint = /trust_sha256: (\S+) \}/.exec(readFileSync(w.config, "utf8"))?.[1] ?? "";
  const token =
    plane?.token ?? ran(CONTROL, "token", "--dir", w.data, "--keys", w.keys, "--cluster", name).stdout.trim();
  writeFileSync(path("token"), token, { mode: 0o600 });
  writeFileSync(path("owner/on"), "on\n", { mode: 0o644 });
  writeFileSync(path("workload"), `#!/bin/sh\n# ${path("workload")}\nwhile :; do sleep 1; done\n`, { mode: 0o755 });
  writeFileSync(
    path("reeve.yaml"),
    `version: 1
cluster: ${name}
control_plane: { enrol: "https://${plane?.enrol ?? w.ports.enrol}", trust_sha256: ${thumbprint} }
state: ${path("state")}
runtime: ${path("runtime")}
owner: { directory: ${path("owner")}, uid: ${process.getuid?.() ?? 0} }
token: { file: ${path("token")} }
provider: local
local: { groups: { brokers: { command: [${w.folder}/workload, "{n}"], stop_seconds: 2 } } }
`,
    { mode: 0o644 },
  );
  const self: Customer = {
    name,
    folder,
    owner: path("owner"),
    config: path("reeve.yaml"),
    policy(text) {
      writeFileSync(path("owner/policy.yaml"), text, { mode: 0o644 });
      chmodSync(path("owner/policy.yaml"), 0o644);
    },
    start(...before) {
      const [program = AGENT, ...args] = [...before, AGENT, "run", "--config", self.config];
      const child = spawn(program, args, {
        env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
        stdio: ["ignore", "ignore", "pipe"],
      });
      child.stderr?.on("data", (chunk: Buffer) => {
        if (existsSync(folder)) writeFileSync(path("agent.err"), chunk, { flag: "a" });
      });
      return child;
    },
    reeve: (verb, ...more) => ran(REEVE, ...verb, "--config", self.config, ...more),
    log: () => (existsSync(path("agent.err")) ? readFileSync(path("agent.err"), "utf8") : ""),
    entries() {
      const shown = self.reeve(["audit", "show"], "--json");
      if (shown.code !== 0) throw new Error(`audit show: ${shown.stderr}`);
      return shown.stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };
  self.policy(policy);
  return self;
}

/** Ends processes that a test started, and waits until they are gone. */
export async function endAll(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(
    children.map((child) =>
      child.exitCode === null && child.signalCode === null
        ? new Promise((done) => child.once("exit", done))
        : undefined,
    ),
  );
}

import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processAt } from "../../providers/local/processes.ts";
import { CONTROL, type Ran, ran, send, type World, type WorldOptions, world, writePolicy } from "../e2e/world.ts";
import { type Artifacts, addProgram, imagesIn, killAll, type Program } from "../providers/programs.ts";

/** A customer's machine whose group `web` is processes of programs, and a vendor with release signers: all by the compiled executables. */
export type Stage = {
  readonly w: World;
  /** Where the programs lie; nothing else runs from there. */
  readonly folder: string;
  readonly artifacts: Artifacts;
  /** What the config's command starts. */
  readonly first: Program;
  readonly signers: Readonly<Record<string, Signer>>;
  /** What the provider keeps of the group. */
  readonly book: string;
  /** Starts the agent, under `before` where it is given, and waits until it is ready. */
  start(...before: string[]): Promise<void>;
  /** Resolves when it is gone, however that comes about; `signal` null: by itself. */
  stopped(signal: NodeJS.Signals | null): Promise<void>;
  end(): Promise<void>;
};
export type Signer = { readonly as: string; readonly keys: string; readonly verifier: string };

const GROUP = "web";
const RATE = "rate: 1000 per hour\n    when: always";

export type Rules = {
  readonly unavailable?: number;
  readonly approval?: string;
  readonly need?: number;
  readonly version?: string;
};

/** A rule to scale `web` and one to deploy to it. */
export function rules({
  unavailable = 1,
  approval = "none",
  need = 1,
  version = "{ min: 1.0.0, max: 1.9.9 }",
}: Rules = {}): string {
  return `  - id: web-count
    why: More load, or less.
    allow: scale
    group: ${GROUP}
    count: { min: 0, max: 9 }
    change: { up: 9, down: 9 }
    ${RATE}
    approval: none
  - id: web-releases
    why: New releases of the vendor's.
    allow: deploy
    group: ${GROUP}
    signers: { by: [release, second], need: ${need} }
    version: ${version}
    unavailable: ${unavailable}
    ${RATE}
    approval: ${approval}`;
}

function good(...args: string[]): string {
  const done = ran(CONTROL, ...args);
  if (done.code !== 0) throw new Error(`${args.join(" ")} ended with ${done.code}: ${done.stderr}`);
  return done.stdout;
}

/** `artifacts`: the config's word; the owner's directory where none is given. `ready`: seconds. */
export type StageOptions = Rules &
  Pick<WorldOptions, "people"> & { readonly artifacts?: (directory: string) => string; readonly ready?: number };

export async function stage(options: StageOptions = {}): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), "reeve-action-"));
  chmodSync(folder, 0o755);
  const uid = process.getuid?.() ?? 0;
  const artifacts = { directory: join(folder, "artifacts"), uid };
  for (const name of ["artifacts", "first", "keys"]) mkdirSync(join(folder, name), { mode: 0o755 });
  const first = addProgram({ ...artifacts, directory: join(folder, "first") }, "first");
  const signers = Object.fromEntries(
    ["release", "second", "stranger"].map((name) => {
      const keys = join(folder, "keys", name);
      good("keys", "init", "--keys", keys);
      const as = `vendor.example/${name}`;
      return [name, { as, keys, verifier: good("manifest", "signer", "--as", as, "--keys", keys).trim() }];
    }),
  );
  const command = `command: ["${first.path}", "600"], ready_seconds: ${options.ready ?? 0}, stop_seconds: 5, deploy_as_agent: true`;
  const where = options.artifacts?.(artifacts.directory) ?? `{ directory: ${artifacts.directory}, uid: ${uid} }`;
  const w = await world({
    rules: rules(options),
    ...(options.people === undefined ? {} : { people: options.people }),
    signers: { release: signers["release"]?.verifier ?? "", second: signers["second"]?.verifier ?? "" },
    provider: `provider: local\nlocal: { groups: { ${GROUP}: { ${command} } } }\nartifacts: ${where}\n`,
  });
  let agent: ChildProcess | null = null;
  let pid = 0;
  return {
    w,
    folder,
    artifacts,
    first,
    signers,
    book: join(w.state, `local/group-${createHash("sha256").update(GROUP).digest("hex").slice(0, 32)}.json`),
    async start(...before) {
      rmSync(join(w.folder, "runtime/status.json"), { force: true });
      agent = w.startAgent(...before);
      await w.until("the agent is ready", () => w.reeve(["status"], "--json").code === 0, 60);
      pid = (JSON.parse(w.reeve(["status"], "--json").stdout) as { pid: number }).pid;
    },
    async stopped(signal) {
      const one = agent;
      if (one === null) throw new Error("no agent was started");
      if (signal !== null) one.kill(signal);
      await w.until("the agent is gone", () => processAt(pid) === null, 120);
      // A tracer goes on with the processes that the agent started: they are let go.
      one.kill("SIGKILL");
      await w.until("what it was started under is gone", () => one.exitCode !== null || one.signalCode !== null, 120);
    },
    async end() {
      await w.end();
      killAll(folder);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A new policy, in force with the next command. */
export function newRules(
  { w, signers }: Stage,
  revision: number,
  options: Rules & Pick<WorldOptions, "people"> = {},
): void {
  const known = { release: signers["release"]?.verifier ?? "", second: signers["second"]?.verifier ?? "" };
  const people = options.people === undefined ? {} : { people: options.people };
  writePolicy(w, rules(options), revision, { signers: known, ...people });
}

export type Manifest = {
  readonly by?: string;
  readonly version?: string;
  readonly cluster?: string;
  readonly place?: string;
  readonly groups?: string;
  readonly policy?: string;
  /** Where the image lies; the program's own digest where none is given. */
  readonly image?: string;
};
let made = 0;

/** A manifest whose image is this program, signed; its digest and its note's file. */
export function manifest(
  { folder, signers }: Stage,
  of: Program,
  with_: Manifest = {},
): { digest: string; file: string } {
  const at = (name: string): string => join(folder, `${name}-${made}`);
  made++;
  const sbom = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    components: [{ type: "library", name: "libc", version: "1", purl: "pkg:generic/libc@1" }],
  };
  writeFileSync(at("sbom"), JSON.stringify(sbom));
  const lines = [
    `cluster: ${with_.cluster ?? "prod-eu-1"}`,
    `place: ${with_.place ?? '{ cloud: local, account: "", region: "" }'}`,
    `images: { app: "${with_.image ?? of.image}" }`,
    `groups: ${with_.groups ?? `{ ${GROUP}: { image: app, count: 3 } }`}`,
    "zones: []\nauthorities: []\nnames: []",
    ...(with_.policy === undefined ? [] : [`policy: ${with_.policy}`]),
  ];
  writeFileSync(at("parameters"), `${lines.join("\n")}\n`);
  const signer = signers[with_.by ?? "release"];
  if (signer === undefined) throw new Error("no such signer");
  const said = good(
    ...[
      "manifest",
      "create",
      "--image",
      `app=${at("sbom")}`,
      "--digest",
      `app=${of.image}`,
      "--version",
      with_.version ?? "1.2.3",
    ],
    ...[
      "--parameters",
      at("parameters"),
      "--says",
      "a release",
      "--as",
      signer.as,
      "--keys",
      signer.keys,
      "--out",
      at("manifest"),
      "--json",
    ],
  );
  return { digest: (JSON.parse(said) as { digest: string }).digest, file: at("manifest") };
}

/** The same, put where the agent reads it: the owner's directory. */
export function released(of: Stage, program: Program, with_: Manifest = {}): string {
  const { digest, file } = manifest(of, program, with_);
  place(of, digest, readFileSync(file, "utf8"));
  return digest;
}

/** Puts a note, or what claims to be one, where the manifest of this digest is looked for. */
export function place({ artifacts }: Stage, digest: string, note: string | Buffer): void {
  writeFileSync(join(artifacts.directory, `${digest.slice("sha256:".length)}.manifest`), note, { mode: 0o644 });
}

export function deploy({ w }: Stage, digest: string, ...more: string[]): Ran {
  return send(w, "deploy", "--group", GROUP, "--manifest", digest, ...more);
}

/** Sends it and does not wait; its id. */
export function begin({ w }: Stage, digest: string, ...flags: string[]): string {
  const words = [
    "--keys",
    w.keys,
    "--cluster",
    "prod-eu-1",
    "--by",
    "maria@vendor.example",
    "--why",
    "INC-4312",
    "--json",
  ];
  const sent = w.vendor("send", ...words, ...flags, "deploy", "--group", GROUP, "--manifest", digest);
  const id = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/.exec(sent.stdout)?.[0];
  if (sent.code !== 0 || id === undefined) throw new Error(sent.stderr);
  return id;
}

export function scale({ w }: Stage, count: number): void {
  const done = send(w, "scale", "--group", GROUP, "--count", String(count));
  if (done.code !== 0) throw new Error(done.stderr + done.stdout);
}

export type Shown = {
  readonly kind: string;
  readonly index: number;
  readonly command?: string;
  readonly code?: string | null;
  readonly result?: string;
  readonly intent?: number;
  readonly known_by?: string;
  readonly found?: Readonly<Record<string, unknown>>;
  readonly allowed?: { readonly rule: string };
  readonly changed?: readonly { readonly what: string; readonly from: string | null; readonly to: string | null }[];
  readonly operations?: readonly { readonly operation: string; readonly changes: boolean; readonly status: string }[];
};

export function entries({ w }: Stage): Shown[] {
  return w.entries() as unknown as Shown[];
}

/** The newest entry of a kind. */
export function last(of: Stage, kind: string): Shown {
  const found = entries(of).findLast((entry) => entry.kind === kind);
  if (found === undefined) throw new Error(`there is no ${kind}`);
  return found;
}

export function running(of: Stage): string[] {
  return imagesIn(of.folder);
}
export { addProgram, type Program };

export function outcomeOf(of: Stage, command: string): Shown | undefined {
  return entries(of).find((entry) => entry.kind === "outcome" && entry.command === command);
}

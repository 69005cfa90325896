import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { canonical } from "../agent/wire/canonical.ts";
import type { TokenClaims } from "../agent/wire/protocol.ts";
import { TOKEN_HEADER } from "../agent/wire/token.ts";
import { type Effort, type Figure, median, times } from "./figure.ts";
import { residentMegabytes } from "./plane.ts";

const ROOT = join(import.meta.dirname, "..");
const CACHE = join(ROOT, ".cache", "spire");
const AGENT = join(CACHE, "spire-agent");
const GO = "/usr/local/go/bin/go";
const CLEAN = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
const BUILD_MS = 60 * 60_000;
const PATIENCE_MS = 60_000;

/**
 * Both agents as they wait for their server: from the start of the process until it calls, and what it holds while it is not answered. SPIRE's is
 * built through the Go proxy, once (it takes minutes); where that does not work the row says why.
 */
export async function spireFigures({ quick }: Effort, scratch: string): Promise<Figure[]> {
  const seconds = quick ? 5 : 60;
  const whyNot = built();
  const waiting = (folder: string) => (program: Program) =>
    measured(program, join(scratch, folder), quick ? 3 : 9, seconds);
  const ours = await waiting("reeve")(reeve);
  const theirs = whyNot === null ? await waiting("spire")(spire) : null;
  return [
    figure("start to first call to the control plane", ours.call, theirs?.call, "ms", whyNot),
    figure(`resident memory after ${seconds} s without an answer`, ours.megabytes, theirs?.megabytes, "MB", whyNot),
  ];
}

function figure(what: string, ours: number, theirs: number | undefined, unit: string, whyNot: string | null): Figure {
  const beside =
    theirs === undefined ? `spire-agent does not build here: ${whyNot}` : `spire-agent ${theirs.toFixed(0)} ${unit}`;
  const ratio = theirs === undefined ? "" : times(ours / theirs);
  return { what, ours: `${ours.toFixed(0)} ${unit}`, beside, ratio, target: "none", reached: true };
}

/** Null when the executable is there; the tool's last line otherwise. */
function built(): string | null {
  if (existsSync(AGENT)) return null;
  process.stderr.write("building spire-agent through the Go proxy, once: this takes minutes\n");
  mkdirSync(CACHE, { recursive: true });
  copyFileSync(join(ROOT, "bench", "spire", "go.mod"), join(CACHE, "go.mod"));
  const done = spawnSync(
    existsSync(GO) ? GO : "go",
    ["build", "-mod=mod", "-o", AGENT, "github.com/spiffe/spire/cmd/spire-agent"],
    { cwd: CACHE, encoding: "utf8", timeout: BUILD_MS, env: { ...process.env, CGO_ENABLED: "0", GOTOOLCHAIN: "auto" } },
  );
  if (done.status === 0) return null;
  return (done.error?.message ?? done.stderr.trim().split("\n").at(-1) ?? "").replaceAll("|", "/").slice(0, 160);
}

type Program = (folder: string, port: number) => ChildProcess;

/** A server that takes every call and hangs up: neither agent is answered. */
async function measured(
  program: Program,
  folder: string,
  rounds: number,
  seconds: number,
): Promise<{ call: number; megabytes: number }> {
  let called = (): void => undefined;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.destroy();
    called();
  });
  const port = await listening(server);
  const calls: number[] = [];
  let megabytes = 0;
  for (let round = 0; round < rounds; round++) {
    mkdirSync(folder, { recursive: true });
    const call = new Promise<void>((resolve) => {
      called = resolve;
    });
    const began = performance.now();
    const child = program(folder, port);
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const late = Bun.sleep(PATIENCE_MS).then(() => "late" as const);
    const first = await Promise.race([call, gone.then(() => "ended" as const), late]);
    calls.push(performance.now() - began);
    if (first !== undefined) throw new Error(`${child.spawnfile} did not call: ${first}`);
    if (round === rounds - 1) {
      await Bun.sleep(seconds * 1000);
      megabytes = residentMegabytes(child.pid ?? 0);
    }
    child.kill("SIGKILL");
    await gone;
  }
  server.close();
  return { call: median(calls), megabytes };
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

function start(program: string, ...args: string[]): ChildProcess {
  return spawn(program, args, { env: CLEAN, stdio: "ignore" });
}

/** With a token that nobody signed: only a control plane could tell. */
function reeve(folder: string, port: number): ChildProcess {
  const url = `https://127.0.0.1:${port}`;
  const [sha, iat] = ["0".repeat(64), Math.floor(Date.now() / 1000)];
  const jti = randomBytes(24).toString("base64url");
  const claims: TokenClaims = {
    iss: "vendor.example",
    aud: "reeve-enrol",
    sub: "prod",
    jti,
    iat,
    exp: iat + 3600,
    url,
    sha,
  };
  const parts = [Buffer.from(TOKEN_HEADER), Buffer.from(canonical(claims)), randomBytes(64)];
  writeFileSync(join(folder, "token"), parts.map((part) => part.toString("base64url")).join("."), { mode: 0o600 });
  const plane = `{ enrol: "${url}", trust_sha256: ${randomBytes(32).toString("base64url")} }`;
  writeFileSync(
    join(folder, "reeve.yaml"),
    `version: 1
cluster: prod
control_plane: ${plane}
state: ${folder}/state
runtime: ${folder}/runtime
owner: { directory: ${folder}/owner, uid: ${process.getuid?.() ?? 0} }
token: { file: ${folder}/token }
provider: local
`,
  );
  return start(join(ROOT, "dist", "reeve"), "run", "--config", join(folder, "reeve.yaml"));
}

function spire(folder: string, port: number): ChildProcess {
  writeFileSync(
    join(folder, "agent.conf"),
    `agent {
  data_dir = "${folder}/data"
  log_level = "ERROR"
  server_address = "127.0.0.1"
  server_port = ${port}
  socket_path = "${folder}/agent.sock"
  insecure_bootstrap = true
  retry_bootstrap = true
  trust_domain = "example.org"
  join_token = "${crypto.randomUUID()}"
}
plugins {
  KeyManager "disk" { plugin_data { directory = "${folder}" } }
  NodeAttestor "join_token" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
`,
  );
  return start(AGENT, "run", "-config", join(folder, "agent.conf"));
}

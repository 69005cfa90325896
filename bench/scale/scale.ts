import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, sign } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { POLL_HOLD_SECONDS } from "../../agent/limits.ts";
import { canonical } from "../../agent/wire/canonical.ts";
import { TOKEN_HEADER } from "../../agent/wire/token.ts";
import { readRoot } from "../../control/ca.ts";
import { initKey } from "../../control/keyFolder.ts";
import { send } from "../../control/send.ts";
import { openSigner, signJws } from "../../control/signer.ts";
import { openSqlite } from "../../control/sqlite.ts";
import { signFirstStatement } from "../../control/statement.ts";
import { ensureCluster, nowSeconds, readMeta, type Store } from "../../control/store.ts";
import { type Effort, type Figure, median } from "../figure.ts";
import { residentMegabytes } from "../plane.ts";
import type { List } from "./load.ts";

const AGENTS = 10_000;
/** Fewer agents that ask as often: as many polls a second as AGENTS' (what is done seldom costs a processor more than what is done often). */
const QUICK_AGENTS = 500;
const QUICK_HOLD_SECONDS = POLL_HOLD_SECONDS / (AGENTS / QUICK_AGENTS);
const WINDOW_SECONDS = 60;
const QUICK_WINDOW_SECONDS = 20;
const COMMANDS = 200;
const PATIENCE_MS = 20 * 60_000;
/** A command should be at its agent before a person has looked up. */
const TARGET_LATENCY_MS = 250;
const DIST = join(import.meta.dirname, "..", "..", "dist");
const CLEAN = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };

type Serving = { readonly child: ChildProcess; readonly pid: number; readonly enrol: string; readonly agents: string };
type Load = {
  polling(count: number): Promise<void>;
  /** Polls so far. */
  answered(): number;
  got(id: string): Promise<number>;
  readonly child: ChildProcess;
};

/**
 * Agents that hold long polls over real mTLS connections, each with a certificate, an epoch and a log of its own, on one compiled
 * `serve` with SQLite: how much of a processor they take while nothing happens, and how long a command is on its way to one of them.
 */
export async function scaleFigures({ quick }: Effort, scratch: string): Promise<Figure[]> {
  const [few, many] = [10, quick ? QUICK_AGENTS : AGENTS];
  const alone = await measured(join(scratch, "few"), few, quick);
  const full = await measured(join(scratch, "many"), many, quick);
  // An agent asks once in so many seconds.
  const perCore = Math.round((full.polls / full.cores) * POLL_HOLD_SECONDS);
  const rate = (one: Measured): string => `${one.polls.toFixed(0)} polls/s at ${(one.cores * 100).toFixed(0)} %`;
  return [
    {
      what: `agents a core: long polls of ${many.toLocaleString("en")} agents over mTLS, held ${full.hold} s`,
      ours: `${perCore.toLocaleString("en")} (${rate(full)} of one, ${full.megabytes.toFixed(0)} MB)`,
      beside: `${few} agents: ${rate(alone)}, ${alone.megabytes.toFixed(0)} MB`,
      ratio: "",
      target: "10,000 or more",
      reached: perCore >= AGENTS,
    },
    {
      what: `a command's way from \`send\` to its agent, ${many.toLocaleString("en")} of them polling`,
      ours: `${full.latency.toFixed(0)} ms, worst of ${COMMANDS} ${full.worst.toFixed(0)} ms`,
      beside: `${few} agents: ${alone.latency.toFixed(0)} ms`,
      ratio: "",
      target: `under ${TARGET_LATENCY_MS} ms`,
      reached: full.latency < TARGET_LATENCY_MS,
    },
  ];
}

type Measured = {
  /** Answered in a second. */
  readonly polls: number;
  readonly hold: number;
  readonly cores: number;
  readonly megabytes: number;
  readonly latency: number;
  readonly worst: number;
};

async function measured(folder: string, count: number, quick: boolean): Promise<Measured> {
  const keys = join(folder, "keys");
  const dir = join(folder, "control");
  await initKey(keys, "cmd-bench");
  const serving = await startServe(dir);
  const store = await openSqlite(join(dir, "state.db"));
  let load: Load | null = null;
  try {
    const clusters = Array.from({ length: count }, (_, n) => `c${n}`);
    const list = join(folder, "list.json");
    const tokens = await makeTokens(store, dir, keys, clusters);
    const root = readFileSync(join(dir, "ca", "root.pem"), "utf8");
    const { enrol, agents } = serving;
    const hold = quick ? QUICK_HOLD_SECONDS : POLL_HOLD_SECONDS;
    const all: List = { enrol, agents, root, hold, agents_list: tokens };
    writeFileSync(list, JSON.stringify(all));
    load = startLoad(list);
    await load.polling(count);
    const before = load.answered();
    // No shorter than a poll is held: in it each agent asks.
    const seconds = quick ? QUICK_WINDOW_SECONDS : WINDOW_SECONDS;
    const cores = await coresOf(serving.pid, seconds);
    const polls = (load.answered() - before) / seconds;
    const megabytes = residentMegabytes(serving.pid);
    const waits = await latencies(store, dir, keys, load, clusters);
    return { polls, hold, cores, megabytes, latency: median(waits), worst: Math.max(...waits) };
  } finally {
    load?.child.kill("SIGKILL");
    store.close();
    serving.child.kill("SIGKILL");
  }
}

async function startServe(dir: string): Promise<Serving> {
  const words = ["serve", "--dir", dir, "--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0"];
  const child = spawn(join(DIST, "reeve-control"), words, { env: CLEAN, stdio: ["ignore", "pipe", 2] });
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).once("line", resolve);
    child.once("exit", (code) => reject(new Error(`reeve-control serve ended with ${code}`)));
  });
  const said = JSON.parse(line) as { enrol: string; agents: string };
  return { child, pid: child.pid ?? 0, enrol: said.enrol, agents: said.agents };
}

/** A join token and a first trust statement for each. */
async function makeTokens(
  store: Store,
  dir: string,
  keys: string,
  clusters: readonly string[],
): Promise<List["agents_list"]> {
  const signer = openSigner({ keys });
  if (signer === null) throw new Error("no signer");
  const { tokenKey, rootSha256 } = readRoot(dir);
  const url = await store.transaction((sql) => readMeta(sql, "enrol_url"));
  const [first] = clusters;
  if (url === null || first === undefined) throw new Error("nobody serves");
  await signFirstStatement(store, dir, first, signer);
  const made: { cluster: string; token: string }[] = [];
  for (const cluster of clusters) {
    if (cluster !== first) await signFirstStatement(store, dir, cluster, signer);
    const iat = nowSeconds();
    const jti = randomBytes(24).toString("base64url");
    const named = { iss: "vendor.example", aud: "reeve-enrol", sub: cluster };
    const claims = { ...named, jti, iat, exp: iat + 3600, url, sha: rootSha256 };
    const token = signJws(TOKEN_HEADER, canonical(claims), { sign: (bytes) => sign(null, bytes, tokenKey) });
    await store.transaction(async (sql) => {
      await ensureCluster(sql, cluster);
      await sql.run("insert into tokens (jti, cluster, exp) values ($1, $2, $3)", jti, cluster, claims.exp);
    });
    made.push({ cluster, token });
  }
  return made;
}

function startLoad(list: string): Load {
  const child = spawn(process.execPath, [join(import.meta.dirname, "load.ts"), list], { stdio: ["ignore", "pipe", 2] });
  const at = new Map<string, number>();
  let [polling, answered, gone] = [0, 0, false];
  let look = (): void => undefined;
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
    const said = JSON.parse(line) as { polling?: number; answered?: number; got?: string; at?: number };
    answered = said.answered ?? answered;
    polling = said.polling ?? polling;
    if (said.got !== undefined && said.at !== undefined) at.set(said.got, said.at);
    look();
  });
  child.once("exit", () => {
    gone = true;
    look();
  });
  const until = <T>(ask: () => T | null, what: string): Promise<T> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE_MS);
      look = () => {
        const answer = ask();
        if (answer === null && !gone) return;
        clearTimeout(late);
        if (answer === null) reject(new Error("the agents' process has ended"));
        else resolve(answer);
      };
      look();
    });
  return {
    child,
    polling: async (count) => void (await until(() => (polling >= count ? true : null), "the agents to poll")),
    answered: () => answered,
    got: (id) => until(() => at.get(id) ?? null, `the command ${id}`),
  };
}

/** Processors' time per time that passed. */
async function coresOf(pid: number, seconds: number): Promise<number> {
  const [before, began] = [ticks(pid), performance.now()];
  await Bun.sleep(seconds * 1000);
  return ((ticks(pid) - before) / 100 / (performance.now() - began)) * 1000;
}

/** User and system time in hundredths of a second (proc_pid_stat(5), fields 14 and 15). */
function ticks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

/** One after the other, to clusters all over the fleet. */
async function latencies(
  store: Store,
  dir: string,
  keys: string,
  load: Load,
  clusters: readonly string[],
): Promise<number[]> {
  const signer = openSigner({ keys });
  if (signer === null) throw new Error("no signer");
  const waits: number[] = [];
  for (let n = 0; n < COMMANDS; n++) {
    const cluster = clusters[(n * 7919) % clusters.length] ?? "";
    const asked = { action: "scale", args: { group: `g${n}`, count: 1 } } as const;
    const began = Date.now();
    const { id } = await send(
      store,
      { dir, cluster, asked, by: "bench", why: "bench", lifetime: 3600, dryRun: false },
      signer,
    );
    waits.push((await load.got(id)) - began);
  }
  return waits;
}

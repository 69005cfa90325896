import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

/** The names carry the pid of the test that made them, so that a later run knows what a killed one left. */
const PREFIX = "reeve-test";
/** iproute2 binds what lies in here over /etc, for programs that it starts in the namespace of that name. */
const ETC = "/etc/netns";
const ENV = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };

export type Namespace = {
  readonly name: string;
  /** Program and arguments that run `words` in it. */
  inside(...words: string[]): string[];
  start(words: readonly string[], env?: Readonly<Record<string, string>>): ChildProcess;
  run(...words: string[]): string;
  /** Puts text into a file of /etc that only this namespace sees; before anything is started in it, and changed in place after. */
  etc(file: "hosts" | "resolv.conf", text: string): void;
};

function ip(...words: string[]): string {
  const done = spawnSync("ip", words, { env: ENV, encoding: "utf8", timeout: 30_000 });
  if (done.status !== 0) throw new Error(`ip ${words.join(" ")}: ${done.stderr}`);
  return done.stdout;
}

/** Why this machine can make no network namespace; null when it can. */
export function cannot(): string | null {
  const name = `${PREFIX}-${process.pid}-try`;
  try {
    ip("netns", "add", name);
    ip("-n", name, "link", "add", "one", "type", "veth", "peer", "name", "two");
    const table = spawnSync("ip", ["netns", "exec", name, "nft", "add", "table", "inet", "try"], { encoding: "utf8" });
    return table.status === 0 ? null : `nft: ${table.stderr.trim()}`;
  } catch (error) {
    return String(error).trim();
  } finally {
    if (existsSync(`/run/netns/${name}`)) ip("netns", "del", name);
  }
}

/** A namespace with a loopback of its own and nothing else. */
export function namespace(role: string): Namespace {
  const name = `${PREFIX}-${process.pid}-${role}`;
  ip("netns", "add", name);
  ip("-n", name, "link", "set", "lo", "up");
  mkdirSync(`${ETC}/${name}`, { recursive: true });
  const inside = (...words: string[]): string[] => ["ip", "netns", "exec", name, ...words];
  return {
    name,
    inside,
    start(words, env = {}) {
      const [program = "", ...rest] = inside(...words);
      return spawn(program, rest, { env: { ...ENV, ...env }, stdio: ["pipe", "pipe", "pipe"] });
    },
    run(...words) {
      const [program = "", ...rest] = inside(...words);
      const done = spawnSync(program, rest, { env: ENV, encoding: "utf8", timeout: 60_000 });
      if (done.status !== 0) throw new Error(`${words.join(" ")}: ${done.stderr}`);
      return done.stdout;
    },
    etc: (file, text) => writeFileSync(`${ETC}/${name}/${file}`, text),
  };
}

/** A cable between two: `a` and `b` are their ends' names and addresses. */
export function cable(a: Namespace, b: Namespace, ends: { a: [string, string]; b: [string, string] }): void {
  const [nameA, addressA] = ends.a;
  const [nameB, addressB] = ends.b;
  ip("link", "add", nameA, "netns", a.name, "type", "veth", "peer", "name", nameB, "netns", b.name);
  for (const [of, name, address] of [
    [a, nameA, addressA],
    [b, nameB, addressB],
  ] as const) {
    ip("-n", of.name, "addr", "add", `${address}/30`, "dev", name);
    ip("-n", of.name, "link", "set", name, "up");
  }
}

/** Ends what runs in this test's namespaces and takes them away; also those of earlier tests whose process is gone. */
export function removeAll(): void {
  const left = existsSync("/run/netns") ? readdirSync("/run/netns") : [];
  for (const name of left.filter(isToGo)) {
    for (const pid of ip("netns", "pids", name).split("\n").filter(Boolean)) end(Number(pid));
    ip("netns", "del", name);
  }
  const etc = existsSync(ETC) ? readdirSync(ETC) : [];
  for (const name of etc.filter(isToGo)) rmSync(`${ETC}/${name}`, { recursive: true, force: true });
}

function isToGo(name: string): boolean {
  const pid = new RegExp(`^${PREFIX}-(\\d+)-[a-z]+$`).exec(name)?.[1];
  return pid !== undefined && (Number(pid) === process.pid || !isTest(pid));
}

/** A number alone may have been given to somebody else. */
function isTest(pid: string): boolean {
  return existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("test");
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

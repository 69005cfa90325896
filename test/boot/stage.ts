import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireDebian } from "../tools.ts";
import { CLEAN, ended, must, ran } from "./ran.ts";

/** The one address of a stage's network that is not loopback's: what is only loopback counts as no network for name services. */
export const ADDRESS = "192.0.2.1";

/**
 * A place apart: mounts, network and process numbers of its own, all held by one process that ends when its input does. When it ends, for
 * whatever reason, the kernel kills every process in it, and the mounts, addresses and files go too.
 */
export type Stage = {
  /** The words before a command that is to run in there, and die with it. */
  readonly enter: readonly string[];
  /** The root of a machine: this machine's own files, and above them what is changed, in memory. As its commands call it. */
  readonly root: string;
  /** The same root as this process reaches it. */
  at(path: string): string;
  /** The changed files alone, as this process reaches them: the disk that a machine on this stage would have written. */
  readonly changed: string;
  /** A cgroup of its own, for what runs in there, as `enter`ed commands call it. */
  readonly cgroup: string;
  end(): Promise<void>;
};

/** cgroup2 is mounted anew, so that it is there, writable and unified, whatever the machine made of it. */
const HOLD = `set -eu
umount --recursive /sys/fs/cgroup 2>/dev/null || :
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "$2"
mount -t tmpfs -o mode=0755,size=2g tmpfs "$1"
mkdir "$1/changed" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changed,workdir=$1/work" "$1/root"
ip link set lo up
ip address add ${ADDRESS}/32 dev lo
echo ready
cat >/dev/null
`;

/** A cgroup can be removed when nothing runs in it: what does is killed (cgroup.kill, Linux 5.14). */
const CLEAR = `echo 1 >"$0/cgroup.kill"
while grep -q "populated 1" "$0/cgroup.events"; do sleep 0.1; done
find "$0" -depth -type d -exec rmdir {} ";"
`;

let stages = 0;

/** Throws, with the kernel's or the tool's own words, where such a place cannot be made. */
export async function makeStage(): Promise<Stage> {
  requireDebian({
    unshare: "util-linux",
    nsenter: "util-linux",
    ip: "iproute2",
    "systemd-nspawn": "systemd-container",
  });
  const folder = mkdtempSync(join(tmpdir(), "reeve-boot-"));
  const cgroup = `/sys/fs/cgroup/reeve-boot-${process.pid}-${stages++}`;
  const apart = ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"];
  const outer = spawn("unshare", [...apart, "sh", "-c", HOLD, "sh", folder, cgroup], {
    env: CLEAN,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const gone = async (): Promise<void> => {
    outer.stdin.destroy();
    await ended(outer);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await isReady(outer);
  } catch (error) {
    outer.kill("SIGKILL");
    await gone();
    throw error;
  }
  const holder = childOf(outer.pid ?? 0);
  if (holder === null) throw new Error("the stage has no process");
  const enter = ["nsenter", "--target", String(holder), "--mount", "--net", "--pid", "--"];
  return {
    enter,
    root: `${folder}/root`,
    at: (path) => `/proc/${holder}/root${folder}/root${path}`,
    changed: `/proc/${holder}/root${folder}/changed`,
    cgroup,
    async end() {
      await ran([...enter, "sh", "-c", CLEAR, cgroup]);
      await gone();
    },
  };
}

/** The one child of a process, by this process's count; null without. */
export function childOf(pid: number): number | null {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return children === "" ? null : Number(children.split(" ")[0]);
}

function isReady(outer: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = "";
    outer.stderr?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    outer.stdout?.once("data", () => resolve());
    outer.once("error", reject);
    outer.once("close", (code) => reject(new Error(`it ended with ${code}: ${said.trim()}`)));
  });
}

/** Why no machine can be booted here, in one line; null when one can. It is tried. */
export async function whyNot(): Promise<string | null> {
  if (process.getuid?.() !== 0) return "this takes root";
  try {
    const stage = await makeStage();
    try {
      await must(...stage.enter, ...nspawn(stage), "--as-pid2", "--", "/bin/true");
      return null;
    } finally {
      await stage.end();
    }
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).replaceAll("\n", " · ");
  }
}

/** The words that start a machine on a stage: in the stage's own network and cgroup, and known to nobody else. */
export function nspawn({ root, cgroup }: Stage): string[] {
  const start = 'echo 0 >"$0/cgroup.procs" && exec "$@"';
  const apart = [
    "--register=no",
    "--keep-unit",
    "--network-namespace-path=/proc/1/ns/net",
    "--console=pipe",
    "--quiet",
  ];
  const ours = ["--resolv-conf=off", "--timezone=off", "--link-journal=no"];
  return ["sh", "-c", start, cgroup, "systemd-nspawn", `--directory=${root}`, ...apart, ...ours];
}

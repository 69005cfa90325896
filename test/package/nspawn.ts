import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { requireDebian } from "../tools.ts";

export type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** A machine of its own beside this one: a real systemd as PID 1 over a copy-on-write view of this machine's root, without a network. */
export type Box = {
  /** Runs a program inside, without a shell. */
  run(program: string, ...args: string[]): Ran;
  /** The same for a shell's words; throws when they fail. Returns standard output. */
  sh(script: string): string;
  /** Waits until `holds`; throws with the journal's end when it never does. */
  until(what: string, holds: () => boolean): Promise<void>;
  end(): Promise<void>;
};
/** What is put into the machine before it boots: by path, a text, or the file of this machine that is copied. */
export type Put = Readonly<
  Record<string, ({ readonly text: string } | { readonly copy: string }) & { readonly mode?: number }>
>;

const PATIENCE_MS = 120_000;
const CLEAN = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
/** Nothing of this machine that is not part of the test comes along: only the base system boots. */
const TARGET = "systemd.unit=basic.target";

/**
 * The mounts and processes live in namespaces of their own and end with them, however the test ends. A tmpfs above, for no overlay lies above
 * another. /proc is looked at by systemd-nspawn, so it is that of the new namespace.
 */
const BOOT = `set -eu
mount -t tmpfs -o mode=755 tmpfs "$1/top"
mkdir "$1/top/upper" "$1/top/work" "$1/top/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/top/upper,workdir=$1/top/work" "$1/top/root"
rm -rf "$1/top/root/etc/reeve" "$1/top/root/var/lib/reeve" "$1/top/root/var/lib/man-db/auto-update"
cp -a --no-preserve=ownership "$1/put/." "$1/top/root/"
exec systemd-nspawn --quiet --directory="$1/top/root" --boot --register=no --keep-unit --private-network \\
  --link-journal=no --timezone=off --resolv-conf=off --console=pipe --machine=reeve-test ${TARGET} </dev/null
`;

export async function boot(put: Put): Promise<Box> {
  requireDebian({ "systemd-nspawn": "systemd-container", nsenter: "util-linux" });
  const folder = mkdtempSync(join(tmpdir(), "reeve-box-"));
  for (const name of ["top", "put"]) mkdirSync(join(folder, name), { mode: 0o755 });
  for (const [path, what] of Object.entries(put)) {
    const to = join(folder, "put", path);
    mkdirSync(dirname(to), { recursive: true, mode: 0o755 });
    if ("text" in what) writeFileSync(to, what.text);
    else copyFileSync(what.copy, to);
    chmodSync(to, what.mode ?? 0o644);
  }
  const spaces = ["--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const outer = spawn("unshare", [...spaces, "sh", "-c", BOOT, "sh", folder], {
    env: { ...CLEAN, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [outer.stdout, outer.stderr])
    stream.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-8000);
    });
  const gone = new Promise<void>((resolve) => outer.once("exit", () => resolve()));
  const end = async (): Promise<void> => {
    if (outer.pid !== undefined && outer.exitCode === null && outer.signalCode === null) outer.kill("SIGKILL");
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    return { ...(await booted(outer, () => said)), end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function booted(outer: ChildProcess, said: () => string): Promise<Omit<Box, "end">> {
  let init = 0;
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    const late = Date.now() + PATIENCE_MS;
    while (!holds()) {
      if (Date.now() > late || outer.exitCode !== null || outer.signalCode !== null) {
        const journal = init === 0 ? said() : run("journalctl", "-n", "60", "--no-pager", "-o", "cat").stdout;
        throw new Error(`it never came to be: ${what}\n${journal}`);
      }
      await Bun.sleep(100);
    }
  };
  const run = (program: string, ...args: string[]): Ran => {
    const into = [
      "--target",
      String(init),
      "--mount",
      "--uts",
      "--ipc",
      "--net",
      "--pid",
      "--cgroup",
      "--root",
      "--wd=/",
    ];
    const done = spawnSync("nsenter", [...into, "--", "sh", "-c", 'cd / && exec "$@"', "sh", program, ...args], {
      env: CLEAN,
      encoding: "utf8",
      timeout: PATIENCE_MS,
      maxBuffer: 64 * 1024 * 1024,
    });
    // The first shell stands in a folder of this machine until it goes to the root of the other.
    const stderr = done.stderr.replace("sh: 0: getcwd() failed: No such file or directory\n", "");
    return { code: done.status, stdout: done.stdout, stderr };
  };
  const sh = (script: string): string => {
    const done = run("sh", "-ec", script);
    if (done.code !== 0) throw new Error(`ended with ${done.code}: ${script}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  await until("PID 1 of the machine", () => {
    init = initBelow(outer.pid ?? 0) ?? 0;
    return init !== 0 && run("test", "-S", "/run/systemd/private").code === 0;
  });
  await until("a machine that has booted", () => run("systemctl", "is-active", "basic.target").code === 0);
  return { run, sh, until };
}

/** The machine's PID 1, as this machine counts: the process of that name below `pid`. */
function initBelow(pid: number): number | null {
  const path = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(path)) return null;
  for (const child of readFileSync(path, "utf8").trim().split(" ").filter(Boolean).map(Number)) {
    const comm = `/proc/${child}/comm`;
    if (existsSync(comm) && readFileSync(comm, "utf8").trim() === "systemd") return child;
    const below = initBelow(child);
    if (below !== null) return below;
  }
  return null;
}

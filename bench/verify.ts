import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { signBinding } from "../agent/audit/note.ts";
import { openAuthority } from "../control/ca.ts";
import { type Effort, type Figure, inTurn, times } from "./figure.ts";
import { AGENT_ID, benchLog, sampleEntry, type Voucher } from "./log.ts";

const TARGET_OF_OPENSSL = 2;
/** Whole, and nobody has witnessed the newest: the best answer for a log without witnesses. */
const WHOLE_EXIT = 11;

/** A CA as `reeve-control serve` makes it, and a certificate of its for the agent. */
export async function voucherIn(folder: string): Promise<{ voucher: Voucher; root: string }> {
  const authority = await openAuthority(folder, ["localhost"]);
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { chain } = await authority.issue(AGENT_ID, publicKey.export({ type: "spki", format: "der" }));
  const sign = (binding: Uint8Array): string => signBinding(binding, privateKey);
  return { voucher: { chain, sign }, root: join(folder, "ca", "root.pem") };
}

/** Nanoseconds of one run; throws when it ends with another exit code than `exit`. */
function timed(command: readonly [string, ...string[]], exit: number): number {
  const [program, ...args] = command;
  const start = Bun.nanoseconds();
  const done = spawnSync(program, args, { env: { PATH: "/usr/bin:/bin" }, encoding: "utf8" });
  const taken = Bun.nanoseconds() - start;
  if (done.status !== exit)
    throw new Error(`${command.join(" ")} ended with ${done.status}: ${done.stdout}${done.stderr}`);
  return taken;
}

/** `reeve audit verify` beside `openssl dgst -sha256` over the same bytes, each as a process of its own, started anew. */
export async function verifyFigure({ quick }: Effort, scratch: string): Promise<Figure[]> {
  const { voucher, root } = await voucherIn(join(scratch, "control"));
  const log = benchLog(scratch, voucher);
  const entries = quick ? 20_000 : 200_000;
  for (let at = 0; at < entries; at += 1000) {
    log.append(Array.from({ length: 1000 }, () => sampleEntry(Bun.randomUUIDv7())));
  }
  log.close();
  const folder = join(scratch, "audit");
  const segments = readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .map((name) => join(folder, name));
  const megabytes = segments.reduce((sum, path) => sum + statSync(path).size, 0) / 1e6;
  const reeve = join(import.meta.dirname, "..", "dist", "reeve");
  const taken = await inTurn(
    {
      openssl: () => timed(["openssl", "dgst", "-sha256", ...segments], 0),
      reeve: () => timed([reeve, "audit", "verify", "--log", folder, "--ca", root], WHOLE_EXIT),
    },
    quick ? 3 : 5,
  );
  const speed = (nanoseconds: number): string => `${Math.round((megabytes * 1e9) / nanoseconds)} MB/s`;
  const ratio = taken.reeve / taken.openssl;
  return [
    {
      what: `audit verify, ${entries.toLocaleString("en")} entries, ${megabytes.toFixed(0)} MB`,
      ours: speed(taken.reeve),
      beside: `openssl dgst -sha256 ${speed(taken.openssl)}`,
      ratio: times(ratio),
      target: `within ${TARGET_OF_OPENSSL}×`,
      reached: ratio <= TARGET_OF_OPENSSL,
    },
  ];
}

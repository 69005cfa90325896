import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { type Effort, type Figure, median } from "./figure.ts";

const MEASURE = join(import.meta.dirname, "..", "test", "boot", "measure.ts");
const TARGET_MS = 500;
const BOOT_MS = 15 * 60_000;

/** A machine that boots with rendered user-data, in a program of its own: milliseconds between the end of the installing and the log's first entry. */
export async function bootFigures({ quick }: Effort): Promise<Figure[]> {
  const rounds = quick ? 3 : 9;
  const done = spawnSync(process.execPath, [MEASURE, String(rounds)], { encoding: "utf8", timeout: BOOT_MS });
  if (done.status !== 0) throw new Error(`test/boot/measure.ts ended with ${done.status}: ${done.stderr}`);
  const said = JSON.parse(done.stdout.trim().split("\n").at(-1) ?? "") as { enrolled_ms: number[] } | { why: string };
  const what = 'from the end of user-data to "enrolled" in the log';
  const target = `under ${TARGET_MS} ms`;
  if ("why" in said) return [{ what, ours: "not measured", beside: said.why, ratio: "", target, reached: false }];
  const all = said.enrolled_ms;
  const beside = `${all.length} times: ${Math.min(...all).toFixed(0)} to ${Math.max(...all).toFixed(0)} ms, without the download`;
  return [{ what, ours: `${median(all).toFixed(0)} ms`, beside, ratio: "", target, reached: median(all) < TARGET_MS }];
}

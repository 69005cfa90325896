import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { programPath, requireDebian } from "../tools.ts";

/** A module below deploy/, read by HashiCorp's own parser. */
const GO = "/usr/local/go/bin/go";

type Written = { readonly written: string };
export type Block = {
  readonly type: string;
  readonly labels: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly blocks: readonly Block[];
};

export function scratchCopy(folder: string): string {
  const copy = mkdtempSync(join(tmpdir(), "reeve-deploy-"));
  cpSync(folder, copy, { recursive: true });
  return copy;
}

/** `cloud`: the folder's name below deploy/. Builds the reader first, which takes its time. */
export function blocksOf(cloud: string): readonly Block[] {
  if (!existsSync(GO)) requireDebian({ go: "golang-go" });
  const go = existsSync(GO) ? GO : (programPath("go") ?? "go");
  const folder = scratchCopy(join(import.meta.dir, "go"));
  const built = spawnSync(go, ["build", "-o", "read", "."], { cwd: folder, encoding: "utf8", timeout: 240_000 });
  if (built.status !== 0) throw new Error(`Cannot build the Go program: ${built.stderr}`);
  const module = resolve(import.meta.dir, "../../deploy", cloud);
  const done = spawnSync(join(folder, "read"), [module], { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`Cannot read ${module}: ${done.stderr}`);
  return JSON.parse(done.stdout) as Block[];
}

export function inner({ blocks: within }: Block, type: string): readonly Block[] {
  return within.filter((one) => one.type === type);
}
export function everyBlock(of: readonly Block[]): readonly Block[] {
  return of.flatMap((one) => [one, ...everyBlock(one.blocks)]);
}
export function resourcesIn(blocks: readonly Block[], kind: string): readonly Block[] {
  return blocks.filter(({ type, labels }) => type === "resource" && labels[0] === kind);
}
export function resourceIn(blocks: readonly Block[], kind: string): Block {
  const [one, ...more] = resourcesIn(blocks, kind);
  if (one === undefined || more.length > 0) throw new Error(`there is not just one ${kind}`);
  return one;
}
/** An attribute that is no constant, as it stands in the file. */
export const written = (value: unknown): string => (value as Written | undefined)?.written ?? "";

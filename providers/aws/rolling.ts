import { deployed } from "../outcome.ts";
import { CallFailed, type Changed, type DeployState, type Errand } from "../provider.ts";
import type { AwsCalls, AwsContext } from "./call.ts";
import { readGroup, type Template } from "./group.ts";
import { imageOf, type Running, runningOf } from "./machines.ts";
import type { Own } from "./own.ts";
import { aimsAt, isActive, type Refresh, readRefreshes } from "./refresh.ts";
import { claimed, isCopy, known, type Version, versionAt } from "./template.ts";

/** One deploy's dealings with one group. */
export type Rolling = {
  readonly context: AwsContext;
  readonly calls: AwsCalls;
  readonly name: string;
  /** The image that was judged. */
  readonly image: string;
  readonly errand: Errand;
  /** Where the agent itself runs. */
  readonly own: Own;
};
/** A group as a deploy finds it. */
export type Found = {
  readonly running: Running;
  /** What the group launched from before this command, and goes back to. */
  readonly base: Version;
  /** Copies of it with the judged image that carry the command's id: more than one where AWS has forgotten its token meanwhile. */
  readonly own: readonly Version[];
};

/**
 * `foreign`: what becomes of a version that carries the command's id and is no such copy: it is another's, made to be taken for ours. "fail":
 * CallFailed before anything is changed; "ignore": it does not count, where only what has happened is told. Throws CallFailed for a group that
 * is not launched from one version of one launch template with one image.
 */
export async function seen(
  { calls, errand, image }: Rolling,
  running: Running,
  foreign: "fail" | "ignore",
): Promise<Found> {
  const template = fixed(running);
  const inUse = await versionAt(calls, template);
  const all = await claimed(calls, errand.id, template);
  const at = all.find(({ number }) => number === inUse.number);
  // The group is at ours already: what it was at before, ours says.
  const before = at === undefined ? inUse : await versionAt(calls, { ...template, version: at.of ?? "" });
  const base = at === undefined || isCopy(at, before, image) ? before : inUse;
  const own = all.filter((one) => isCopy(one, base, image));
  const [other] = all.filter((one) => !own.includes(one));
  if (other !== undefined && foreign === "fail")
    throw new CallFailed(
      "foreign-version",
      `version ${other.number} of the launch template says that this command made it, and is no copy with the judged image`,
      "none",
    );
  if (base.image === null)
    throw new CallFailed("group-image", "its launch template names no AMI, or has Systems Manager look it up", "none");
  known(calls, base);
  return { running, base, own };
}

function fixed({ group: { template } }: Running): Template {
  if (template === null)
    throw new CallFailed(
      "group-launch",
      "it launches from a launch configuration or by a mixed instances policy, not from one launch template",
      "none",
    );
  // A new version would at once be what it launches from, and AWS cannot roll back.
  if (!/^\d+$/.test(template.version))
    throw new CallFailed("group-floating", `it launches from ${template.version}, not from a version's number`, "none");
  return template;
}

/**
 * `own`: this command's refresh, the newest there is, on its way there or back. `busy`: somebody else's is running. Null: neither.
 */
export type Current =
  | { readonly own: Refresh; readonly version: Version; readonly back: boolean }
  | { readonly busy: Refresh }
  | null;

/** Throws CallFailed. */
export async function current({ calls, name }: Rolling, own: readonly Version[], base: Version): Promise<Current> {
  const [newest, before] = await readRefreshes(calls, name);
  if (newest === undefined) return null;
  const there = own.find((one) => aimsAt(newest, one));
  if (there !== undefined) return { own: newest, version: there, back: false };
  const back = aimsAt(newest, base) ? own.find((one) => before !== undefined && aimsAt(before, one)) : undefined;
  if (back !== undefined) return { own: newest, version: back, back: true };
  return isActive(newest) ? { busy: newest } : null;
}

/** What runs now; null when the group is gone, or it cannot be read: then what is on record has to do. */
export async function runningNow({ calls, context, name }: Rolling): Promise<Running | null> {
  try {
    const group = await readGroup(calls, context.aws, name);
    return group === null ? null : await runningOf(calls, group);
  } catch (error) {
    if (error instanceof CallFailed) return null;
    throw error;
  }
}

export async function changedSince(work: Rolling, found: DeployState): Promise<readonly Changed[]> {
  const running = await runningNow(work);
  return running === null ? [] : deployed(work.name, found.image, imageOf(running));
}

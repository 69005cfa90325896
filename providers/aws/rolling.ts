import { deployed } from "../outcome.ts";
import { CallFailed, type Changed, type DeployState, type Errand } from "../provider.ts";
import type { AwsCalls, AwsContext } from "./call.ts";
import { readGroup, type Template } from "./group.ts";
import { imageOf, type Running, runningOf } from "./machines.ts";
import { aimsAt, isActive, type Refresh, readRefreshes } from "./refresh.ts";
import { ownVersion, type Version, versionAt } from "./template.ts";

/** One deploy's dealings with one group. */
export type Rolling = {
  readonly context: AwsContext;
  readonly calls: AwsCalls;
  readonly name: string;
  /** The image that was judged. */
  readonly image: string;
  readonly errand: Errand;
};
/** A group as a deploy finds it. */
export type Found = {
  readonly running: Running;
  /** What the group launched from before this command, and goes back to. */
  readonly base: Version;
  /** The version that this command made; null: none yet. */
  readonly own: Version | null;
};

/** Throws CallFailed for a group that is not launched from one version of one launch template with one image. */
export async function seen({ calls, errand }: Rolling, running: Running): Promise<Found> {
  const template = fixed(running);
  const inUse = await versionAt(calls, template);
  const own = await ownVersion(calls, errand.id, template);
  // The group is at ours already: what it was at before, ours says.
  const base = own?.number === inUse.number ? await versionAt(calls, { ...template, version: own.of ?? "" }) : inUse;
  if (base.image === null)
    throw new CallFailed("group-image", "its launch template names no AMI, or has Systems Manager look it up", "none");
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
export type Current = { readonly own: Refresh; readonly back: boolean } | { readonly busy: Refresh } | null;

/** Throws CallFailed. */
export async function current({ calls, name }: Rolling, own: Version | null, base: Version): Promise<Current> {
  const [newest, before] = await readRefreshes(calls, name);
  if (newest === undefined) return null;
  if (own !== null && aimsAt(newest, own)) return { own: newest, back: false };
  const back = own !== null && before !== undefined && aimsAt(before, own) && aimsAt(newest, base);
  if (back) return { own: newest, back: true };
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

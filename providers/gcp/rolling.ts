import { deployed } from "../outcome.ts";
import { CallFailed, type Changed, type DeployState, type Errand } from "../provider.ts";
import type { GcpCalls, GcpContext } from "./call.ts";
import { isOwn } from "./makeTemplate.ts";
import { type Manager, type OfManager, readManager } from "./manager.ts";
import { type Json, readTemplate, type Template, templatePath } from "./template.ts";
import { ownTemplate } from "./tokens.ts";

/** One deploy's dealings with one group. */
export type Rolling = OfManager & {
  readonly context: GcpContext;
  readonly calls: GcpCalls;
  /** As the policy writes the group. */
  readonly name: string;
  /** The image that was judged. */
  readonly image: string;
  readonly errand: Errand;
};
/** A group as a deploy finds it. */
export type Found = {
  readonly manager: Manager;
  /** What the group launched from before this command, and goes back to. */
  readonly base: Template;
  /** How it was updated before. */
  readonly policy: Json;
  /** The template that this command made; null: none yet. */
  readonly own: Template | null;
};

/** Where the command's own template lies: beside the one that it is a copy of. */
function ownPath(template: string, command: string): string {
  return `${template.slice(0, template.lastIndexOf("/") + 1)}${ownTemplate(command)}`;
}

/**
 * `look`: whether this command may have made a template before; one of its name that is no copy of what the group launched from with the judged
 * image is another's: CallFailed where something is to be done, and none where what has happened is told. Throws CallFailed for a group that
 * cannot be taken to another image.
 */
export async function seen(work: Rolling, manager: Manager, look: "execute" | "resume" | "reconcile"): Promise<Found> {
  const { context, calls, errand } = work;
  if (manager.stateful)
    throw new CallFailed("group-stateful", "it has a stateful configuration: its machines are not replaced", "none");
  const named = look === "execute" ? null : await readTemplate(context, calls, ownPath(manager.template, errand.id));
  if (named !== null) {
    const from = named.left === null ? null : templatePath(named.left.from);
    const base = from === null || from !== named.left?.from ? null : await readTemplate(context, calls, from);
    if (base !== null && isOwn(named, base, work))
      return { manager, base, own: named, policy: named.left?.policy ?? manager.policy };
    if (look === "resume")
      throw new CallFailed("template-other", "a template has the name of the command's own, and is not", "none");
  }
  const base = await readTemplate(context, calls, manager.template);
  if (base === null)
    throw new CallFailed("template-missing", "the template that the group launched from is gone", "none");
  return { manager, base, own: null, policy: manager.policy };
}

/** The one image that every machine runs; null when there are several, or no machine, or it cannot be told. */
export async function imageOf({ context, calls }: Rolling, { machines }: Manager): Promise<string | null> {
  const from = new Set(machines.map(({ template }) => template));
  const images = new Set<string | null>();
  for (const template of from) {
    // Different ones are told from the first two.
    if (images.size > 1) return null;
    images.add(template === null ? null : ((await readTemplate(context, calls, template))?.image ?? null));
  }
  const [image = null] = images;
  return images.size === 1 ? image : null;
}

export async function stateOf(work: Rolling, manager: Manager): Promise<DeployState> {
  const healthy = manager.machines.filter(({ well }) => well).length;
  return { image: await imageOf(work, manager), count: manager.machines.length, healthy };
}

/** [] when it cannot be read: then what is on record has to do. */
export async function changedSince(work: Rolling, found: DeployState): Promise<readonly Changed[]> {
  try {
    const manager = await readManager(work);
    return manager === null ? [] : deployed(work.name, found.image, await imageOf(work, manager));
  } catch (error) {
    if (error instanceof CallFailed) return [];
    throw error;
  }
}

import { z } from "zod";
import { CallFailed } from "../provider.ts";
import type { GcpCalls, GcpContext } from "./call.ts";
import { endpointOf } from "./endpoints.ts";
import { jsonCall } from "./jsonCall.ts";
import { MAX_PAGES } from "./limits.ts";
import type { GroupName } from "./names.ts";
import { type Json, templatePath } from "./template.ts";
import { type Step, stepId } from "./tokens.ts";

/** A managed instance group as a deploy sees it. */
export type Manager = {
  readonly target: number;
  readonly fingerprint: string;
  /** `projects/…/instanceTemplates/NAME`: what it launches from. */
  readonly template: string;
  readonly policy: Json;
  /** Nothing is on its way, and every machine is at the version that it should be at. */
  readonly reached: boolean;
  readonly stateful: boolean;
  /** Zones of a regional one; 1 of a zone's. */
  readonly zones: number;
  readonly machines: readonly Machine[];
};
export type Machine = {
  readonly id: string;
  /** `zones/ZONE/instances/NAME`. */
  readonly path: string;
  /** What it was made from; null: nothing is said, or it is on its way out. */
  readonly template: string | null;
  /** It runs, nothing is being done to it, and no health check says that it is not healthy. */
  readonly well: boolean;
  /** Google's code for why the last try to make it did not work. */
  readonly error: string | null;
};

const Group = z.object({
  name: z.string(),
  selfLink: z.string(),
  fingerprint: z.string().min(1),
  targetSize: z.int().min(0),
  versions: z.array(z.object({ instanceTemplate: z.string(), targetSize: z.unknown().optional() })).min(1),
  updatePolicy: z.record(z.string(), z.unknown()).default({}),
  distributionPolicy: z.object({ zones: z.array(z.unknown()).default([]) }).optional(),
  status: z.object({
    isStable: z.boolean().default(false),
    versionTarget: z.object({ isReached: z.boolean().default(false) }).optional(),
    stateful: z.object({ hasStatefulConfig: z.boolean().default(false) }).optional(),
  }),
});
const Listed = z.object({
  managedInstances: z
    .array(
      z.object({
        id: z.string().default(""),
        instance: z.string().default(""),
        currentAction: z.string().default(""),
        instanceStatus: z.string().default(""),
        version: z.object({ instanceTemplate: z.string().optional() }).optional(),
        instanceHealth: z.array(z.object({ detailedHealthState: z.string().default("UNKNOWN") })).default([]),
        lastAttempt: z
          .object({
            errors: z.object({ errors: z.array(z.object({ code: z.string().default("") })).default([]) }).optional(),
          })
          .optional(),
      }),
    )
    .default([]),
  nextPageToken: z.string().default(""),
});
const Operation = z.object({ name: z.string().regex(/^[a-z][-a-z0-9]{0,127}$/) });

export type OfManager = { readonly context: GcpContext; readonly calls: GcpCalls; readonly group: GroupName };

function urlOf({ context, group }: OfManager, more = ""): URL {
  const { gcp } = context;
  const { kind, where, name } = group;
  const path = `projects/${gcp.project}/${kind}/${where}/instanceGroupManagers/${name}${more}`;
  return new URL(`/compute/v1/${path}`, endpointOf(gcp, "compute"));
}

/** Null when there is none. Throws CallFailed, also for a group that does not launch from one template. */
export async function readManager(of: OfManager): Promise<Manager | null> {
  const { calls, group, context } = of;
  let found: z.infer<typeof Group>;
  try {
    found = await jsonCall({ calls, service: "compute", url: urlOf(of), method: "GET" }, Group);
  } catch (error) {
    if (error instanceof CallFailed && error.status === "missing") return null;
    throw error;
  }
  const path = `/projects/${context.gcp.project}/${group.kind}/${group.where}/instanceGroupManagers/${group.name}`;
  if (found.name !== group.name || !found.selfLink.endsWith(path))
    throw new CallFailed("malformed", "what was described is another group", "none");
  const [version, second] = found.versions;
  const template = templatePath(version?.instanceTemplate ?? "");
  if (template === null) throw new CallFailed("malformed", "its template has no name", "none");
  if (second !== undefined)
    throw new CallFailed("group-versions", "it launches from two templates: an update is not finished", "none");
  calls.known.add(template);
  const { isStable, versionTarget, stateful } = found.status;
  return {
    target: found.targetSize,
    fingerprint: found.fingerprint,
    template,
    policy: found.updatePolicy,
    reached: isStable && versionTarget?.isReached === true,
    stateful: stateful?.hasStatefulConfig === true,
    zones: group.kind === "zones" ? 1 : (found.distributionPolicy?.zones.length ?? 0),
    machines: await machines(of),
  };
}

async function machines(of: OfManager): Promise<readonly Machine[]> {
  const all: Machine[] = [];
  let pageToken = "";
  for (let page = 0; page < MAX_PAGES; page++) {
    const query = { maxResults: "500", ...(pageToken === "" ? {} : { pageToken }) };
    const url = urlOf(of, "/listManagedInstances");
    const call = { calls: of.calls, service: "compute", url, method: "POST", query, reads: true } as const;
    const found = await jsonCall(call, Listed);
    all.push(...found.managedInstances.map(machineOf));
    pageToken = found.nextPageToken;
    if (pageToken === "") return all;
  }
  throw new CallFailed("too-many-pages", `its instances were not on ${MAX_PAGES} pages`, "none");
}

function machineOf(one: z.infer<typeof Listed>["managedInstances"][number]): Machine {
  const [, path = ""] = /\/(zones\/[a-z0-9-]{1,63}\/instances\/[a-z0-9-]{1,63})$/.exec(one.instance) ?? [];
  if (path === "") throw new CallFailed("malformed", "the group's instances have no names", "none");
  const healthy = one.instanceHealth.every(({ detailedHealthState: state }) => state === "HEALTHY");
  return {
    id: one.id,
    path,
    template: templatePath(one.version?.instanceTemplate ?? ""),
    well: one.currentAction === "NONE" && one.instanceStatus === "RUNNING" && healthy,
    error: one.lastAttempt?.errors?.errors[0]?.code ?? null,
  };
}

/** Only while the group is as it was read: its fingerprint says so. Returns the operation's name. Throws CallFailed and Halted. */
export async function patchManager(
  of: OfManager,
  command: string,
  step: Step,
  { fingerprint }: Manager,
  change: { readonly versions?: readonly object[]; readonly updatePolicy: Json },
): Promise<string> {
  const body = { fingerprint, ...change };
  const query = { requestId: stepId(command, step) };
  const call = { calls: of.calls, service: "compute", url: urlOf(of), method: "PATCH", query, body } as const;
  const { name } = await jsonCall(call, Operation);
  const { kind, where } = of.group;
  of.calls.known.add(`${kind}/${where}/operations/${name}`);
  return name;
}

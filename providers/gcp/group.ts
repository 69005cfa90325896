import type {
  Autoscaler,
  InstanceGroupManager,
  ManagedInstance,
  Operation,
} from "@google-cloud/compute/build/src/v1/instance_group_managers_client.js";
import { CallFailed } from "../provider.ts";
import type { GcpCalls, GcpContext } from "./call.ts";
import { endpointOf } from "./endpoints.ts";
import { googleClients } from "./lazy.ts";
import { MAX_PAGES } from "./limits.ts";
import type { GroupName } from "./names.ts";

export type Instance = {
  readonly id: string;
  /** `zones/ZONE/instances/NAME`. */
  readonly path: string;
  readonly name: string;
  /** Google's word for what happens to it: "NONE", "CREATING", "DELETING", … */
  readonly action: string;
  /** "RUNNING", "STOPPING", …; "" while there is no machine yet. */
  readonly status: string;
  /** Why the last try to make it did not work, by Google's own code; null when none is known. */
  readonly error: string | null;
};
/** One managed instance group as it was read. */
export type Group = {
  readonly target: number;
  readonly stable: boolean;
  /** Name of the autoscaler that is aimed at it; null: none is. */
  readonly autoscaler: string | null;
};

type Service = { readonly context: GcpContext; readonly calls: GcpCalls; readonly group: GroupName };

/** All that is read of a group, and the one thing that is changed. */
export function groupService({ context, calls, group }: Service) {
  const { gcp } = context;
  const endpoint = endpointOf(gcp, "compute");
  const { kind, where, name } = group;
  const place = { project: gcp.project, ...(kind === "zones" ? { zone: where } : { region: where }) };
  const one = { ...place, instanceGroupManager: name };
  return {
    /** Null when there is none. Throws CallFailed, also for a group that a count of machines does not describe. */
    async read(): Promise<Group | null> {
      try {
        const [found] = await calls.send("compute", async (wire) =>
          (await googleClients()).computeClient(kind, "groups", endpoint, wire).get(one),
        );
        return readGroup(calls, gcp.project, group, found);
      } catch (error) {
        if (error instanceof CallFailed && error.status === "missing") return null;
        throw error;
      }
    },
    async instances(): Promise<readonly Instance[]> {
      const all: Instance[] = [];
      let pageToken: string | undefined;
      for (let page = 0; page < MAX_PAGES; page++) {
        const request = { ...one, maxResults: 500, ...(pageToken === undefined ? {} : { pageToken }) };
        const [found, , answer] = await calls.send("compute", async (wire) =>
          (await googleClients())
            .computeClient(kind, "groups", endpoint, wire)
            .listManagedInstances(request, { autoPaginate: false }),
        );
        all.push(...found.map(instanceOf));
        pageToken = answer?.nextPageToken ?? "";
        if (pageToken === "") return all;
      }
      throw new CallFailed("too-many-pages", `its instances were not on ${MAX_PAGES} pages`, "none");
    },
    async autoscaler(autoscaler: string): Promise<Autoscaler> {
      const [found] = await calls.send("compute", async (wire) =>
        (await googleClients()).computeClient(kind, "autoscalers", endpoint, wire).get({ ...place, autoscaler }),
      );
      return found;
    },
    /** Returns the operation's name. Throws CallFailed and Halted. `requestId`: one operation, however often it is sent. */
    async resize(size: number, requestId: string): Promise<string> {
      const [{ latestResponse }] = await calls.send("compute", async (wire) =>
        (await googleClients()).computeClient(kind, "groups", endpoint, wire).resize({ ...one, size, requestId }),
      );
      return noted(latestResponse);
    },
    async operation(operation: string): Promise<Operation> {
      const [found] = await calls.send("compute", async (wire) =>
        (await googleClients()).computeClient(kind, "operations", endpoint, wire).get({ ...place, operation }),
      );
      return found;
    },
    /** The operation that this request id began; null when Google knows none. */
    async begun(requestId: string): Promise<string | null> {
      const request = { ...place, filter: `clientOperationId = "${requestId}"` };
      const [found] = await calls.send("compute", async (wire) =>
        (await googleClients())
          .computeClient(kind, "operations", endpoint, wire)
          .list(request, { autoPaginate: false }),
      );
      const own = found.filter(({ clientOperationId }) => clientOperationId === requestId);
      return own[0] === undefined ? null : noted(own[0]);
    },
  };

  function noted({ name: operation }: Operation): string {
    if (!/^[a-z][-a-z0-9]{0,127}$/.test(operation ?? ""))
      throw new CallFailed("malformed", "its answer names no operation", "unknown");
    calls.known.add(`${kind}/${where}/operations/${operation}`);
    return operation ?? "";
  }
}
export type GroupService = ReturnType<typeof groupService>;

function readGroup(calls: GcpCalls, project: string, group: GroupName, found: InstanceGroupManager): Group {
  const path = `/projects/${project}/${group.kind}/${group.where}`;
  if (found.name !== group.name || found.selfLink?.endsWith(`${path}/instanceGroupManagers/${group.name}`) !== true)
    throw new CallFailed("malformed", "what was described is another group", "none");
  const { targetSize: target } = found;
  if (typeof target !== "number" || !Number.isSafeInteger(target) || target < 0)
    throw new CallFailed("malformed", "the group's size is no count", "none");
  const link = found.status?.autoscaler ?? "";
  const [, autoscaler = null] = new RegExp(`${path}/autoscalers/([a-z0-9-]{1,63})$`).exec(link) ?? [];
  if (link !== "" && autoscaler === null) throw new CallFailed("malformed", "its autoscaler is elsewhere", "none");
  if (autoscaler !== null) calls.known.add(`${group.kind}/${group.where}/autoscalers/${autoscaler}`);
  return { target, stable: found.status?.isStable === true, autoscaler };
}

function instanceOf(found: ManagedInstance): Instance {
  const [, path = ""] = /\/(zones\/[a-z0-9-]{1,63}\/instances\/[a-z0-9-]{1,63})$/.exec(found.instance ?? "") ?? [];
  const name = path.split("/").at(-1) ?? "";
  if (name === "") throw new CallFailed("malformed", "the group's instances have no names", "none");
  const code = found.lastAttempt?.errors?.errors?.[0]?.code ?? null;
  return {
    id: /^\d{1,20}$/.test(found.id ?? "") ? (found.id ?? "") : "",
    path,
    name,
    action: word(found.currentAction),
    status: word(found.instanceStatus),
    error: code === null || code === "" ? null : word(code),
  };
}

/** It goes into entries: a word, as Google's own are. */
function word(value: unknown): string {
  if (value === undefined || value === null || value === "") return "";
  return typeof value === "string" && /^[A-Z_]{1,48}$/.test(value) ? value : "UNKNOWN";
}

/** As many as were asked for run, and nothing is on its way in or out. */
export function isTrue(group: Group, instances: readonly Instance[], wanted: number): boolean {
  const running = instances.filter(({ action, status }) => action === "NONE" && status === "RUNNING").length;
  return group.target === wanted && group.stable && running === wanted && instances.length === wanted;
}

/**
 * Compute Engine's managed instance groups, zonal and regional, as its documentation describes them: a resize is an operation that takes
 * time, machines come and go after it, the group is stable when none does, and a request id makes one operation of many requests.
 */
import { randomInt, randomUUID } from "node:crypto";
import type { Structure } from "./discovery.ts";
import { type Made, ServiceError } from "./made.ts";

export type ScalingSwitches = {
  operationMilliseconds: number;
  launchMilliseconds: number;
  deleteMilliseconds: number;
  /** The group itself is still being changed for this long after a resize, though each machine is there. */
  settleMilliseconds: number;
  /** Reads show the group as it was for this long after a resize was accepted. */
  staleMilliseconds: number;
  /** No more machines than these ever come. */
  capacity: number | null;
  /** Code of the error that the next operations end with. */
  operationError: string | null;
  page: number;
};
export type Autoscaler = { readonly mode: "ON" | "OFF" | "ONLY_SCALE_OUT"; readonly min: number; readonly max: number };
type Machine = { readonly id: string; readonly name: string; readonly comes: number; goes: number | null };
type Group = {
  readonly path: string;
  readonly name: string;
  readonly where: string;
  target: number;
  /** From when on a reader sees the newest target; what was there before. */
  shown: { readonly from: number; readonly before: number };
  settles: number;
  machines: Machine[];
  autoscaler: Autoscaler | null;
  readonly id: string;
};
type Operation = {
  readonly body: Structure;
  readonly done: number;
  readonly error: string | null;
  readonly ask: string;
};

const decimalId = (): string => String(randomInt(2 ** 47)) + String(randomInt(10_000));
const TEMPLATE = "brokers-template";

export function scaling(project: string, root: string, switches: ScalingSwitches) {
  const groups = new Map<string, Group>();
  const operations = new Map<string, Operation>();
  const link = (path: string): string => `${root}/compute/v1/${path}`;
  const stamp = (at: number): string => new Date(at).toISOString().replace("Z", "-00:00").replace("-00:00", "Z");

  const alive = (group: Group): Machine[] => {
    const time = Date.now();
    group.machines = group.machines.filter(({ goes }) => goes === null || goes > time);
    return group.machines;
  };
  const add = (group: Group, ready: number): void => {
    const name = `${group.name}-${randomUUID().slice(0, 4)}`;
    group.machines.push({ id: decimalId(), name, comes: ready, goes: null });
  };
  const set = (group: Group, target: number): void => {
    const time = Date.now();
    const staying = alive(group).filter(({ goes }) => goes === null);
    for (let missing = target - staying.length; missing > 0; missing--) {
      const room =
        switches.capacity === null || group.machines.filter(({ goes }) => goes === null).length < switches.capacity;
      add(group, room ? time + switches.launchMilliseconds : Number.POSITIVE_INFINITY);
    }
    for (const machine of staying.slice(target)) machine.goes = time + switches.deleteMilliseconds;
    group.shown = { from: time + switches.staleMilliseconds, before: group.target };
    group.settles = time + switches.settleMilliseconds;
    group.target = target;
  };

  const groupAt = (parts: Made["parts"]): Group => {
    const where = parts["zone"] === undefined ? `regions/${parts["region"]}` : `zones/${parts["zone"]}`;
    const path = `projects/${parts["project"]}/${where}/instanceGroupManagers/${parts["instanceGroupManager"]}`;
    const found = groups.get(path);
    if (found === undefined) throw new ServiceError(404, "notFound", `The resource '${path}' was not found`);
    return found;
  };
  const zoneOf = ({ where }: Group): string =>
    where.startsWith("zones/") ? where : `zones/${where.slice("regions/".length)}-b`;
  const stateOf = ({ comes, goes }: Machine): string =>
    goes !== null ? "DELETING" : comes > Date.now() ? "CREATING" : "NONE";

  const show = (group: Group): Structure => {
    const stale = Date.now() < group.shown.from;
    const target = stale ? group.shown.before : group.target;
    const actions = alive(group).map((machine) => stateOf(machine));
    const count = (action: string): number => actions.filter((one) => one === action).length;
    const kind = group.where.startsWith("zones/") ? "zone" : "region";
    return {
      kind: "compute#instanceGroupManager",
      id: group.id,
      name: group.name,
      [kind]: link(`projects/${project}/${group.where}`),
      selfLink: link(group.path),
      instanceGroup: link(group.path.replace("instanceGroupManagers", "instanceGroups")),
      instanceTemplate: link(`projects/${project}/global/instanceTemplates/${TEMPLATE}`),
      baseInstanceName: group.name,
      fingerprint: Buffer.from(group.id.slice(0, 6)).toString("base64"),
      targetSize: target,
      currentActions: { none: count("NONE"), creating: count("CREATING"), deleting: count("DELETING"), abandoning: 0 },
      listManagedInstancesResults: "PAGELESS",
      updatePolicy: { type: "OPPORTUNISTIC", minimalAction: "REPLACE" },
      status: {
        isStable: Date.now() >= group.settles && (stale || actions.every((action) => action === "NONE")),
        ...(group.autoscaler === null
          ? {}
          : { autoscaler: link(`projects/${project}/${group.where}/autoscalers/${group.name}`) }),
      },
    };
  };
  const instances = (group: Group, query: Made["query"]): Structure => {
    const all = alive(group).map((machine) => {
      const currentAction = stateOf(machine);
      const stuck = machine.comes === Number.POSITIVE_INFINITY;
      const errors = [
        { code: "ZONE_RESOURCE_POOL_EXHAUSTED", message: "The zone does not have enough resources available." },
      ];
      return {
        id: machine.id,
        name: machine.name,
        instance: link(`projects/${project}/${zoneOf(group)}/instances/${machine.name}`),
        currentAction,
        ...(currentAction === "CREATING"
          ? {}
          : { instanceStatus: currentAction === "DELETING" ? "STOPPING" : "RUNNING" }),
        ...(stuck ? { lastAttempt: { errors: { errors } } } : {}),
      };
    });
    const from = Number(query["pageToken"] ?? 0);
    const size = Math.min(Number(query["maxResults"] ?? 500), switches.page);
    const next = from + size < all.length ? { nextPageToken: String(from + size) } : {};
    return { managedInstances: all.slice(from, from + size), ...next };
  };

  const showOperation = ({ body, done, error }: Operation): Structure => {
    const over = done <= Date.now();
    const failed = {
      error: { errors: [{ code: error ?? "", message: "the operation failed" }] },
      httpErrorStatusCode: 403,
      httpErrorMessage: "FORBIDDEN",
    };
    return {
      ...body,
      status: over ? "DONE" : "RUNNING",
      progress: over ? 100 : 0,
      ...(over ? { endTime: stamp(done) } : {}),
      ...(over && error !== null ? failed : {}),
    };
  };
  const resize = (made: Made): Structure => {
    const group = groupAt(made.parts);
    const size = Number(made.query["size"]);
    if (size < 0) throw new ServiceError(400, "invalid", "Invalid value for field 'size'");
    const token = made.query["requestId"] ?? null;
    if (token !== null && !/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(token))
      throw new ServiceError(400, "invalid", "Invalid value for field 'requestId'");
    const ask = `${group.path} ${size}`;
    const before = [...operations.values()].find(({ body }) => token !== null && body["clientOperationId"] === token);
    if (before !== undefined && before.ask !== ask)
      throw new ServiceError(409, "alreadyExists", `The request id '${token}' was used for another request`);
    if (before !== undefined) return showOperation(before);
    const [id, time] = [decimalId(), Date.now()];
    const name = `operation-${time}-${randomUUID().slice(0, 13)}-${randomUUID().slice(0, 8)}-${randomUUID().slice(0, 8)}`;
    const kind = group.where.startsWith("zones/") ? "zone" : "region";
    const body: Structure = {
      kind: "compute#operation",
      id,
      name,
      [kind]: link(`projects/${project}/${group.where}`),
      operationType: "compute.instanceGroupManagers.resize",
      targetLink: link(group.path),
      targetId: group.id,
      user: made.principal ?? "",
      insertTime: stamp(time),
      startTime: stamp(time),
      selfLink: link(`projects/${project}/${group.where}/operations/${name}`),
      ...(token === null ? {} : { clientOperationId: token }),
    };
    const operation = { body, done: time + switches.operationMilliseconds, error: switches.operationError, ask };
    operations.set(`${group.where}/${name}`, operation);
    made.longRunning = name;
    if (operation.error === null) {
      set(group, size);
      made.changed = true;
    }
    return showOperation(operation);
  };
  const whereOf = (parts: Made["parts"]): string =>
    parts["zone"] === undefined ? `regions/${parts["region"]}` : `zones/${parts["zone"]}`;
  const listed = ({ parts, query }: Made): Structure => {
    const [, wanted] = /^clientOperationId ?= ?"([0-9a-z-]{1,36})"$/.exec(query["filter"] ?? "") ?? [];
    if (query["filter"] !== undefined && wanted === undefined)
      throw new ServiceError(400, "invalid", "Invalid list filter expression.");
    const at = `${whereOf(parts)}/`;
    const all = [...operations].filter(
      ([key, { body }]) => key.startsWith(at) && (wanted ?? body["clientOperationId"]) === body["clientOperationId"],
    );
    return {
      kind: "compute#operationList",
      id: `projects/${project}/${at}operations`,
      selfLink: link(`projects/${project}/${at}operations`),
      items: all.map(([, operation]) => showOperation(operation)),
    };
  };
  const autoscaler = ({ parts }: Made): Structure => {
    const [group] = [...groups.values()].filter(
      ({ name, where }) => name === parts["autoscaler"] && where === whereOf(parts),
    );
    const found = group?.autoscaler ?? null;
    if (group === undefined || found === null) throw new ServiceError(404, "notFound", "The autoscaler was not found");
    return {
      kind: "compute#autoscaler",
      id: group.id,
      name: group.name,
      target: link(group.path),
      autoscalingPolicy: {
        mode: found.mode,
        minNumReplicas: found.min,
        maxNumReplicas: found.max,
        coolDownPeriodSec: 60,
      },
      status: "ACTIVE",
    };
  };

  return {
    answer(made: Made): Structure {
      const [, name = ""] = /^compute\.(?:region|zone)?[A-Za-z]+\.(\w+)$/.exec(made.operation) ?? [];
      if (/Operations\.get$/.test(made.operation)) {
        const found = operations.get(`${whereOf(made.parts)}/${made.parts["operation"]}`);
        if (found === undefined) throw new ServiceError(404, "notFound", "The operation was not found");
        return showOperation(found);
      }
      if (/Operations\.list$/.test(made.operation)) return listed(made);
      if (/utoscalers\.get$/.test(made.operation)) return autoscaler(made);
      if (name === "get") return show(groupAt(made.parts));
      if (name === "listManagedInstances") return instances(groupAt(made.parts), made.query);
      if (name === "resize") return resize(made);
      throw new ServiceError(501, "notImplemented", `the world does not do ${made.operation}`);
    },
    /** A group of this size, whose machines are all there. Returns its resource name. */
    make(where: string, name: string, size: number): string {
      const path = `projects/${project}/${where}/instanceGroupManagers/${name}`;
      const group: Group = {
        path,
        name,
        where,
        target: size,
        shown: { from: 0, before: size },
        settles: 0,
        machines: [],
        autoscaler: null,
        id: decimalId(),
      };
      for (let made = 0; made < size; made++) add(group, 0);
      groups.set(path, group);
      return path;
    },
    remove: (path: string) => groups.delete(path),
    of(path: string): Group {
      const found = groups.get(path);
      if (found === undefined) throw new Error(`no group ${path}`);
      return found;
    },
    /** By someone else, and at once. */
    set(path: string, size: number): void {
      const group = this.of(path);
      group.machines = alive(group).slice(0, size);
      while (group.machines.length < size) add(group, 0);
      for (const machine of group.machines) machine.goes = null;
      group.machines = group.machines.map((machine) => ({ ...machine, comes: Math.min(machine.comes, Date.now()) }));
      group.target = size;
      group.shown = { from: 0, before: size };
    },
    look(path: string): { readonly target: number; readonly running: number; readonly machines: number } {
      const group = this.of(path);
      const machines = alive(group);
      const running = machines.filter((machine) => stateOf(machine) === "NONE").length;
      return { target: group.target, running, machines: machines.length };
    },
    /** Instances' names, for a machine that is one of them. */
    names: (path: string): readonly string[] => (groups.get(path)?.machines ?? []).map(({ name }) => name),
    operations: () => operations.size,
  };
}
export type Scaling = ReturnType<typeof scaling>;

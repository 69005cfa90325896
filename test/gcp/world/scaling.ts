/**
 * Compute Engine's managed instance groups, zonal and regional, as its documentation describes them: a resize is an operation that takes
 * time, machines come and go after it, the group is stable when none does, and a request id makes one operation of many requests.
 */
import { randomInt, randomUUID } from "node:crypto";
import type { Structure } from "./discovery.ts";
import { type Made, ServiceError } from "./made.ts";
import { rolling } from "./rolling.ts";

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
  /** Machines of these images never get healthy. */
  readonly unwell: Set<string>;
  /** The last try to make a machine of an unwell image says why it did not work. */
  failing: boolean;
};
export type Autoscaler = { readonly mode: "ON" | "OFF" | "ONLY_SCALE_OUT"; readonly min: number; readonly max: number };
export type Machine = {
  readonly id: string;
  readonly name: string;
  readonly comes: number;
  goes: number | null;
  readonly template: string;
};
export type Group = {
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
  /** `projects/…/instanceTemplates/NAME`. */
  template: string;
  policy: Structure;
  stateful: boolean;
  /** How often it was changed: its fingerprint. */
  changes: number;
  /** The fewest that served while it was updated. */
  fewest: number;
};
type Operation = {
  readonly body: Structure;
  readonly done: number;
  readonly error: string | null;
  readonly ask: string;
};

const decimalId = (): string => String(randomInt(2 ** 47)) + String(randomInt(10_000));

export function scaling(project: string, root: string, switches: ScalingSwitches) {
  const groups = new Map<string, Group>();
  const operations = new Map<string, Operation>();
  const rolls = rolling(project, root, switches);
  const link = (path: string): string => `${root}/compute/v1/${path}`;
  const stamp = (at: number): string => new Date(at).toISOString().replace("Z", "-00:00").replace("-00:00", "Z");

  const alive = (group: Group): Machine[] => {
    const time = Date.now();
    group.machines = group.machines.filter(({ goes }) => goes === null || goes > time);
    return group.machines;
  };
  const add = (group: Group, ready: number): void => {
    const name = `${group.name}-${randomUUID().slice(0, 4)}`;
    group.machines.push({ id: decimalId(), name, comes: ready, goes: null, template: group.template });
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

  const zonesOf = ({ where }: Group): Structure[] =>
    ["b", "c", "d"].map((letter) => ({
      zone: link(`projects/${project}/zones/${where.slice("regions/".length)}-${letter}`),
    }));
  const fingerprint = ({ id, changes }: Group): string => Buffer.from(`${id.slice(0, 6)}${changes}`).toString("base64");

  const show = (group: Group): Structure => {
    rolls.advance(group);
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
      instanceTemplate: link(group.template),
      versions: [{ instanceTemplate: link(group.template), targetSize: { calculated: target } }],
      baseInstanceName: group.name,
      fingerprint: fingerprint(group),
      targetSize: target,
      currentActions: { none: count("NONE"), creating: count("CREATING"), deleting: count("DELETING"), abandoning: 0 },
      listManagedInstancesResults: "PAGELESS",
      updatePolicy: group.policy,
      ...(kind === "region" ? { distributionPolicy: { zones: zonesOf(group) } } : {}),
      status: {
        isStable:
          Date.now() >= group.settles &&
          (stale || actions.every((action) => action === "NONE")) &&
          rolls.isSettled(group),
        versionTarget: { isReached: rolls.isReached(group) },
        stateful: { hasStatefulConfig: group.stateful, perInstanceConfigs: { allEffective: true } },
        ...(group.autoscaler === null
          ? {}
          : { autoscaler: link(`projects/${project}/${group.where}/autoscalers/${group.name}`) }),
      },
    };
  };
  const instances = (group: Group, query: Made["query"]): Structure => {
    rolls.advance(group);
    const all = alive(group).map((machine) => {
      const currentAction = rolls.isUnwell(machine) && stateOf(machine) === "NONE" ? "VERIFYING" : stateOf(machine);
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
        ...(machine.goes === null ? { version: { instanceTemplate: link(machine.template) } } : {}),
        ...(currentAction === "CREATING" || machine.goes !== null
          ? {}
          : {
              instanceHealth: [
                {
                  healthCheck: link(`projects/${project}/global/healthChecks/brokers`),
                  detailedHealthState: rolls.isUnwell(machine) ? "UNHEALTHY" : "HEALTHY",
                },
              ],
            }),
        ...(stuck || (switches.failing && rolls.isUnwell(machine)) ? { lastAttempt: { errors: { errors } } } : {}),
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
    const what = { where: group.where, path: group.path, id: group.id, type: "compute.instanceGroupManagers.resize" };
    return operate(made, what, `${group.path} ${size}`, () => set(group, size));
  };
  const patch = (made: Made): Structure => {
    const group = groupAt(made.parts);
    const { fingerprint: given, ...body } = made.body;
    const what = { where: group.where, path: group.path, id: group.id, type: "compute.instanceGroupManagers.patch" };
    return operate(made, what, `${group.path} ${JSON.stringify(body)}`, () => {
      if (given !== undefined && given !== fingerprint(group))
        throw new ServiceError(412, "conditionNotMet", "The fingerprint does not match: the resource was changed.");
      rolls.patch(group, body, group.where.startsWith("zones/") ? 1 : 3);
      group.changes++;
    });
  };
  const insert = (made: Made): Structure => {
    const { region } = made.parts;
    const where = region === undefined ? "global" : `regions/${region}`;
    const path = `projects/${project}/${where}/instanceTemplates/${String(made.body["name"])}`;
    const what = { where, path, id: decimalId(), type: "compute.instanceTemplates.insert" };
    return operate(made, what, JSON.stringify(made.body), () => rolls.insert(path, made.body));
  };
  type What = { readonly where: string; readonly path: string; readonly id: string; readonly type: string };
  /** `apply`: does it, or refuses it before anything is begun. */
  const operate = (made: Made, what: What, ask: string, apply: () => void): Structure => {
    const token = made.query["requestId"] ?? null;
    if (token !== null && !/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(token))
      throw new ServiceError(400, "invalid", "Invalid value for field 'requestId'");
    const before = [...operations.values()].find(({ body }) => token !== null && body["clientOperationId"] === token);
    if (before !== undefined && before.ask !== ask)
      throw new ServiceError(409, "alreadyExists", `The request id '${token}' was used for another request`);
    if (before !== undefined) return showOperation(before);
    const [id, time] = [decimalId(), Date.now()];
    const name = `operation-${time}-${randomUUID().slice(0, 13)}-${randomUUID().slice(0, 8)}-${randomUUID().slice(0, 8)}`;
    const [kind = ""] = what.where.split("s/");
    const within = `projects/${project}/${what.where}`;
    const body: Structure = {
      kind: "compute#operation",
      id,
      name,
      ...(what.where === "global" ? {} : { [kind]: link(within) }),
      operationType: what.type,
      targetLink: link(what.path),
      targetId: what.id,
      user: made.principal ?? "",
      insertTime: stamp(time),
      startTime: stamp(time),
      selfLink: link(`${within}/operations/${name}`),
      ...(token === null ? {} : { clientOperationId: token }),
    };
    const operation = { body, done: time + switches.operationMilliseconds, error: switches.operationError, ask };
    if (operation.error === null) {
      apply();
      made.changed = true;
    }
    operations.set(`${what.where}/${name}`, operation);
    made.longRunning = name;
    return showOperation(operation);
  };
  const whereOf = (parts: Made["parts"]): string => {
    if (parts["zone"] !== undefined) return `zones/${parts["zone"]}`;
    return parts["region"] === undefined ? "global" : `regions/${parts["region"]}`;
  };
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
      const [, what = "", name = ""] = /^compute\.([A-Za-z]+)\.(\w+)$/.exec(made.operation) ?? [];
      if (/nstanceTemplates$/.test(what)) {
        if (name === "insert") return insert(made);
        return rolls.template(
          `projects/${project}/${whereOf(made.parts)}/instanceTemplates/${made.parts["instanceTemplate"]}`,
        );
      }
      if (what === "images")
        return rolls.image(`projects/${made.parts["project"]}/global/images/${made.parts["image"]}`);
      if (name === "patch") return patch(made);
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
        template: rolls.first,
        policy: {
          type: "OPPORTUNISTIC",
          minimalAction: "REPLACE",
          maxSurge: { fixed: where.startsWith("zones/") ? 1 : 3, calculated: 1 },
        },
        stateful: false,
        changes: 0,
        fewest: Number.POSITIVE_INFINITY,
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
    rolls,
    /** What each machine runs, what the group launches from, and how it is updated. */
    deployed(path: string) {
      const group = this.of(path);
      rolls.advance(group);
      const images = alive(group).flatMap(({ goes, template }) => (goes === null ? [rolls.imageOf(template)] : []));
      const { template, fewest, policy } = group;
      return { images, template, fewest, policy };
    },
    /** Has the group launch from another template, at once. */
    relaunch(path: string, template: string): void {
      const group = this.of(path);
      group.template = template;
      group.changes++;
    },
  };
}
export type Scaling = ReturnType<typeof scaling>;

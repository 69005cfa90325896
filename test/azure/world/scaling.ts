/** One scale set: it grows and shrinks in time, and says so as Azure does. */
import { randomBytes, randomUUID } from "node:crypto";
import { type Answer, type Made, Refused } from "./made.ts";

export type Instance = {
  id: string;
  state: "Creating" | "Updating" | "Succeeded" | "Deleting" | "Failed";
  kept: boolean;
  image: string;
};
export type ScaleSet = {
  name: string;
  location: string;
  capacity: number;
  instances: Instance[];
  etag: string;
  state: "Succeeded" | "Updating" | "Failed";
  mode: "Uniform" | "Flexible";
  overprovision: boolean;
};
type Operation = {
  readonly id: string;
  readonly ends: number;
  readonly becomes: "Succeeded" | "Failed";
  readonly set: ScaleSet;
  readonly started: number;
  status: "InProgress" | "Succeeded" | "Failed";
  looks: number;
};

export type ScalingOptions = {
  readonly subscription: string;
  readonly resourceGroup: string;
  readonly location: string;
  readonly name: string;
  readonly capacity: number;
  /** How long a change takes. */
  readonly takesMs: number;
};

/** What a deploy of these may become, and how each machine of an image fares. */
type Pointed = {
  readonly properties?: {
    readonly virtualMachineProfile?: {
      readonly storageProfile?: { readonly imageReference?: { readonly id?: string } };
    };
  };
};
type Upgrade = { readonly ids: readonly string[]; readonly ends: number; readonly image: string };

const etag = (): string => `"${randomUUID()}"`;

export function scaling(options: ScalingOptions) {
  const root = `/subscriptions/${options.subscription}/resourceGroups/${options.resourceGroup}/providers/Microsoft.Compute`;
  const image = (n: number): string => `${root}/images/broker-${n}`;
  const images = new Map([1, 2, 3].map((n) => [image(n).toLowerCase(), "Succeeded"]));
  /** What it makes machines from, and who decides when. */
  const model = { image: image(1), upgrades: "Manual" as "Manual" | "Automatic" | "Rolling" };
  let next = 0;
  let upgrades: Upgrade[] = [];
  let fewest = Number.POSITIVE_INFINITY;
  const instance = (state: Instance["state"]): Instance => ({
    ...{ id: String(next++), state, kept: false, image: model.image },
  });
  const set: ScaleSet = {
    name: options.name,
    location: options.location,
    capacity: options.capacity,
    instances: Array.from({ length: options.capacity }, () => instance("Succeeded")),
    etag: etag(),
    state: "Succeeded",
    mode: "Uniform",
    overprovision: false,
  };
  const operations = new Map<string, Operation>();
  const switches = {
    /** What a change becomes. */
    becomes: "Succeeded" as Operation["becomes"],
    /** Why it fails, when it does. */
    error: { code: "AllocationFailed", message: "Allocation failed. We do not have sufficient capacity." },
    /** How the answer to a change says where its operation can be looked at. */
    header: "azure-asyncoperation" as "azure-asyncoperation" | "location" | "none",
    /** Another URL in that header. */
    url: null as string | null,
    /** So many reads after a change still show what was before. */
    staleReads: 0,
    pageSize: 50,
    takesMs: options.takesMs,
    /** So many looks at an operation still say that it runs, whatever time it is. */
    runningLooks: 0,
    absent: false,
    /** Machines of these images run and are not healthy; of those, they do not even start. */
    unwell: new Set<string>(),
    broken: new Set<string>(),
  };
  let stale: { left: number; readonly answer: unknown } | null = null;

  /** What time has made of it. */
  const tick = (): void => {
    for (const operation of operations.values()) {
      if (operation.status !== "InProgress" || Date.now() < operation.ends) continue;
      operation.status = operation.becomes;
      set.etag = etag();
      set.state = operation.becomes;
      set.instances = set.instances.filter(({ state }) => state !== "Deleting");
      for (const one of set.instances) if (one.state === "Creating") one.state = operation.becomes;
    }
    for (const { ids, image: to } of upgrades.filter(({ ends }) => Date.now() >= ends))
      for (const one of set.instances)
        if (ids.includes(one.id))
          Object.assign(one, { image: to, state: switches.broken.has(to) ? "Failed" : "Succeeded" });
    upgrades = upgrades.filter(({ ends }) => Date.now() < ends);
    fewest = Math.min(fewest, set.instances.filter(serves).length);
  };
  const serves = (one: Instance): boolean => one.state === "Succeeded" && !switches.unwell.has(one.image);
  const ended = (becomes: Operation["becomes"]): Operation => {
    const [id, now] = [randomUUID(), Date.now()];
    const operation: Operation = { id, set, started: now, ends: now, becomes, status: becomes, looks: 0 };
    operations.set(id, operation);
    return operation;
  };
  /** How an accepted change is answered. */
  const accepted = (operation: Operation, origin: string): Answer => {
    const version = "api-version=2026-04-01";
    const path = `/subscriptions/${options.subscription}/providers/Microsoft.Compute/locations/${set.location}/operations/${operation.id}`;
    const url = switches.url ?? `${origin}${path}?p=${randomUUID()}&${version}`;
    if (switches.header === "location") return { status: 202, headers: { location: url } };
    return { status: 200, body: shown(), headers: switches.header === "none" ? {} : { "azure-asyncoperation": url } };
  };
  /** Its machines stay as they are until they are upgraded. */
  const point = (to: string): void => {
    if (!images.has(to.toLowerCase()))
      throw new Refused(404, "ResourceNotFound", `The Resource '${to}' under resource group was not found.`);
    Object.assign(model, { image: to });
    set.etag = etag();
  };
  const begin = (wanted: number): Operation => {
    const id = randomUUID();
    const operation: Operation = {
      ...{ id, set, started: Date.now(), ends: Date.now() + switches.takesMs },
      ...{ becomes: switches.becomes, status: "InProgress", looks: 0 },
    };
    operations.set(id, operation);
    set.capacity = wanted;
    set.state = "Updating";
    set.etag = etag();
    const living = set.instances.filter(({ state }) => state !== "Deleting");
    for (let n = living.length; n < wanted; n++) set.instances.push(instance("Creating"));
    const going = living.filter(({ kept }) => !kept).slice(0, Math.max(0, living.length - wanted));
    for (const one of going) one.state = "Deleting";
    return operation;
  };
  const shown = () => ({
    name: set.name,
    id: `${root}/virtualMachineScaleSets/${set.name}`,
    type: "Microsoft.Compute/virtualMachineScaleSets",
    location: set.location,
    etag: set.etag,
    sku: { name: "Standard_D2s_v5", tier: "Standard", capacity: set.capacity },
    properties: {
      orchestrationMode: set.mode,
      overprovision: set.overprovision,
      provisioningState: set.state,
      singlePlacementGroup: false,
      upgradePolicy: { mode: model.upgrades },
      virtualMachineProfile: { storageProfile: { imageReference: { id: model.image } } },
      uniqueId: randomUUID(),
    },
  });
  const viewOf = (state: Instance["state"], runs: string) => ({
    statuses: [
      { code: `ProvisioningState/${state.toLowerCase()}`, level: "Info" },
      { code: state === "Succeeded" ? "PowerState/running" : "PowerState/starting", level: "Info" },
    ],
    vmHealth: { status: { code: switches.unwell.has(runs) ? "HealthState/unhealthy" : "HealthState/healthy" } },
  });
  const absent = (): Refused =>
    new Refused(
      404,
      "ResourceNotFound",
      `The Resource 'Microsoft.Compute/virtualMachineScaleSets/${set.name}' was not found.`,
    );

  return {
    set,
    switches,
    operations,
    tick,
    named: (name: string): boolean => !switches.absent && name.toLowerCase() === set.name.toLowerCase(),
    get(name: string): Answer {
      if (!this.named(name)) throw absent();
      tick();
      if (stale !== null && stale.left-- > 0) return { status: 200, body: stale.answer };
      stale = null;
      return { status: 200, body: shown(), headers: { etag: set.etag } };
    },
    list(name: string, origin: string, query: URLSearchParams): Answer {
      if (!this.named(name)) throw absent();
      tick();
      const from = Number(query.get("$skiptoken") ?? 0);
      const page = set.instances.slice(from, from + switches.pageSize);
      const path = `${root}/virtualMachineScaleSets/${set.name}/virtualMachines`;
      const version = `api-version=${query.get("api-version")}`;
      const more = from + page.length < set.instances.length;
      const nextLink = `${origin}${path}?${version}&%24skiptoken=${from + page.length}`;
      const expanded = query.get("$expand") === "instanceView";
      const value = page.map(({ id, state, kept, image: runs }) => ({
        ...{ name: `${set.name}_${id}`, id: `${path}/${id}`, instanceId: id, location: set.location },
        type: "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
        properties: {
          provisioningState: state,
          latestModelApplied: runs === model.image,
          storageProfile: { imageReference: { id: runs } },
          ...(expanded ? { instanceView: viewOf(state, runs) } : {}),
          vmId: randomBytes(16).toString("hex"),
          ...(kept ? { protectionPolicy: { protectFromScaleIn: true } } : {}),
        },
      }));
      return { status: 200, body: { value, ...(more ? { nextLink } : {}) } };
    },
    update(name: string, made: Made, origin: string): Answer {
      if (!this.named(name)) throw absent();
      tick();
      const wanted = (made.body as { sku?: { capacity?: number } } | undefined)?.sku?.capacity;
      const pointed = (made.body as Pointed | undefined)?.properties?.virtualMachineProfile?.storageProfile
        ?.imageReference?.id;
      const condition = made.headers["if-match"];
      if (condition !== undefined && condition !== "*" && condition !== set.etag)
        throw new Refused(412, "PreconditionFailed", `The etag value '${condition}' does not match '${set.etag}'.`);
      if (set.state === "Updating")
        throw new Refused(409, "OperationNotAllowed", "Another operation is in progress on the scale set.");
      if (pointed !== undefined) {
        point(pointed);
        made.changed = true;
        return accepted(ended("Succeeded"), origin);
      }
      if (wanted === undefined || wanted < 0 || wanted > 1000)
        throw new Refused(400, "InvalidParameter", "The value of parameter sku.capacity is invalid.");
      const before = shown();
      const operation = begin(wanted);
      made.changed = true;
      stale = switches.staleReads === 0 ? null : { left: switches.staleReads, answer: before };
      return accepted(operation, origin);
    },
    /** Brings machines to the set's model: each is out of service meanwhile. */
    upgrade(name: string, made: Made, origin: string): Answer {
      if (!this.named(name)) throw absent();
      tick();
      const { instanceIds: ids = [] } = (made.body ?? {}) as { instanceIds?: readonly string[] };
      const those = set.instances.filter(({ id }) => ids.includes(id));
      if (those.length !== ids.length)
        throw new Refused(400, "InvalidParameter", "The provided instanceIds are not of the scale set.");
      if (those.some(({ state }) => state === "Updating"))
        throw new Refused(409, "Conflict", "Another operation is in progress on the machines.");
      for (const one of those) one.state = "Updating";
      upgrades.push({ ids, image: model.image, ends: Date.now() + switches.takesMs });
      fewest = Math.min(fewest, set.instances.filter(serves).length);
      made.changed = true;
      const { status, headers = {} } = accepted(ended("Succeeded"), origin);
      return { status: status === 200 ? 202 : status, headers };
    },
    image(name: string): Answer {
      const id = `${root}/images/${name}`;
      const state = images.get(id.toLowerCase());
      if (state === undefined) throw new Refused(404, "ResourceNotFound", `The Resource '${id}' was not found.`);
      return { status: 200, body: { id, name, location: set.location, properties: { provisioningState: state } } };
    },
    images,
    imageId: image,
    model,
    point,
    /** What each machine runs, and the fewest that served. */
    deployed() {
      tick();
      return { images: set.instances.map(({ image: runs }) => runs), model: model.image, fewest };
    },
    /** The status of a long-running operation ("Track asynchronous Azure operations"). */
    operation(id: string): Answer {
      tick();
      const found = operations.get(id);
      if (found === undefined) throw new Refused(404, "OperationNotFound", `The operation '${id}' was not found.`);
      const { started, ends } = found;
      const status = found.looks++ < switches.runningLooks ? "InProgress" : found.status;
      const startTime = new Date(started).toISOString();
      if (switches.header === "location")
        return status === "InProgress" ? { status: 202 } : { status: 200, body: shown() };
      const { error } = switches;
      return {
        status: 200,
        body: {
          ...{ name: id, status, startTime },
          ...(status === "InProgress" ? {} : { endTime: new Date(ends).toISOString() }),
          ...(status === "Failed" ? { error } : {}),
        },
        headers: status === "InProgress" ? { "retry-after": "1" } : {},
      };
    },
    /** Someone else sets the capacity, and waits for it. */
    others(capacity: number): void {
      begin(capacity);
      for (const operation of operations.values()) Object.assign(operation, { ends: 0 });
      tick();
    },
  };
}
export type Scaling = ReturnType<typeof scaling>;

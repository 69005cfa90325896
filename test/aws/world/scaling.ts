/**
 * EC2 Auto Scaling on top of moto, which has groups and instances but changes at once and within no limits. What is added here, each from
 * AWS's documentation: MinSize and MaxSize, instances that take their time to come and go, launches that fail for want of capacity,
 * suspended processes, scale-in protection that outlasts the call, scaling activities that say why, the cooldown.
 */
import { randomUUID } from "node:crypto";
import { type Admin, REGION } from "./admin.ts";
import type { Structure, Value } from "./codec.ts";
import { ServiceError } from "./made.ts";
import { ACCOUNT } from "./moto.ts";
import type { Behaviour } from "./proxy.ts";
import {
  imageOf,
  type Machine,
  type Refreshing,
  type RefreshSwitches,
  refreshing,
  type Template,
} from "./refreshing.ts";

export type ScalingSwitches = RefreshSwitches & {
  /** How long an instance is Pending, and how long it is Terminating. */
  launchMilliseconds: number;
  terminateMilliseconds: number;
  /** How many more instances EC2 has to give; null: as many as are wanted. */
  capacity: number | null;
  /** A cooldown is running: who asks to honour it is refused. */
  cooldown: boolean;
};

type Instance = { InstanceId: string; LifecycleState: string; ProtectedFromScaleIn: boolean } & Record<string, Value>;
type Activity = {
  readonly id: string;
  readonly started: number;
  readonly ends: number;
  readonly status: "Successful" | "Failed" | "Cancelled";
  readonly description: string;
  readonly cause: string;
  readonly message: string | null;
};
/** What moto does not keep. */
type Overlay = {
  desired: number;
  /** What people asked for since the last activity, in AWS's words. */
  requests: string;
  /** Until when an instance is Pending. */
  readonly pending: Map<string, number>;
  /** Instances that moto has already forgotten, and until when they are seen Terminating. */
  readonly going: Map<string, { instance: Instance; until: number }>;
  readonly activities: Activity[];
  /** What the group is said to launch from; what it does launch from, while a refresh is on its way; what each instance was launched from. */
  template: Template;
  launching: Template;
  readonly versions: Map<string, string>;
  readonly refresh: Refreshing;
};

const NO_CAPACITY =
  "We currently do not have sufficient t3.micro capacity in the Availability Zone you requested (eu-west-1a). Our system will be working on provisioning additional capacity. Launching EC2 instance failed.";
const ALL_PROTECTED =
  "Could not scale to desired capacity because all remaining instances are protected from scale-in.";

function instant(): string {
  return new Date().toISOString().replace(/\.\d+/, "");
}
/** Why an activity came about, in AWS's words. Uses the people's requests up. */
function causeOf(overlay: Overlay, what: string, how: string, from: number): string {
  const asked = overlay.requests;
  overlay.requests = "";
  const because = "in response to a difference between desired and actual capacity";
  return `${asked}At ${instant()} ${what} ${because}, ${how} the capacity from ${from} to ${overlay.desired}.`;
}

type Group = Structure & {
  AutoScalingGroupName: string;
  AutoScalingGroupARN: string;
  DesiredCapacity: number;
  MinSize: number;
  MaxSize: number;
};

function strings(value: Value | undefined): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
function structures(value: Value | undefined): readonly Structure[] {
  return Array.isArray(value) ? (value as readonly Structure[]) : [];
}

export type Scaling = Behaviour & {
  relaunchByOther(group: string, version: string): Promise<void>;
  refreshByOther(group: string, version: string): Promise<void>;
  cancelByOther(group: string): Promise<void>;
  instances(group: string): Promise<readonly string[]>;
  refreshed(group: string): { readonly fewest: number; readonly refreshes: readonly string[] };
  /** `SetDesiredCapacity` by someone else, who calls AWS from elsewhere. */
  setByOther(group: string, desired: number): Promise<void>;
  /** The group as it is, seen by someone else. */
  see(group: string): Promise<Structure>;
};

export function scaling(admin: Admin, switches: ScalingSwitches): Scaling {
  const overlays = new Map<string, Overlay>();

  const groups = async (names: readonly string[], region: string): Promise<readonly Group[]> => {
    const filter = names.length === 0 ? {} : { AutoScalingGroupNames: names };
    const found = await admin.call("autoscaling", "DescribeAutoScalingGroups", filter, region);
    return structures(found["AutoScalingGroups"]) as readonly Group[];
  };
  /** All that moto has of them: it gives out fifty at a time. */
  const pages = async (asked: Structure, region: string): Promise<readonly Group[]> => {
    const all: Group[] = [];
    for (let more: Structure | null = asked; more !== null; ) {
      const page = await admin.call("autoscaling", "DescribeAutoScalingGroups", more, region);
      all.push(...(structures(page["AutoScalingGroups"]) as readonly Group[]));
      const { NextToken } = page;
      more = NextToken === undefined ? null : { ...asked, NextToken };
    }
    return all;
  };
  const instancesOf = (group: Group): readonly Instance[] => structures(group["Instances"]) as readonly Instance[];
  const overlayOf = (group: Group): Overlay => {
    const known = overlays.get(group.AutoScalingGroupARN);
    if (known !== undefined) return known;
    const { LaunchTemplateId: id, Version: version } = (group["LaunchTemplate"] ?? {}) as Structure;
    const template = { id: String(id), version: String(version) };
    const fresh: Overlay = {
      desired: group.DesiredCapacity,
      requests: "",
      pending: new Map(),
      going: new Map(),
      activities: [],
      template,
      launching: template,
      versions: new Map(instancesOf(group).map(({ InstanceId }) => [InstanceId, template.version])),
      refresh: refreshing(group.AutoScalingGroupName, handsOf(group.AutoScalingGroupName), switches),
    };
    overlays.set(group.AutoScalingGroupARN, fresh);
    return fresh;
  };
  const found = async (name: string): Promise<{ group: Group; overlay: Overlay }> => {
    const [group] = await groups([name], REGION);
    if (group === undefined) throw new ServiceError("ValidationError", `AutoScalingGroup name not found - ${name}`);
    return { group, overlay: overlayOf(group) };
  };
  /** What came since: launched from what the group launches from now, and Pending for a while. */
  const came = async (name: string, before: ReadonlySet<string>): Promise<readonly string[]> => {
    const { group, overlay } = await found(name);
    const fresh = instancesOf(group).flatMap(({ InstanceId: id }) => (before.has(id) ? [] : [id]));
    for (const id of fresh) {
      overlay.pending.set(id, Date.now() + switches.launchMilliseconds);
      overlay.versions.set(id, overlay.launching.version);
    }
    return fresh;
  };
  const images = new Map<string, string>();
  const imageAt = async (template: Template): Promise<string> => {
    const key = `${template.id} ${template.version}`;
    const image = images.get(key) ?? (await imageOf(admin, template));
    images.set(key, image);
    return image;
  };
  /** By moto's own calls. */
  function handsOf(name: string) {
    const known = (): Overlay => {
      const overlay = [...overlays.entries()].find(([arn]) => arn.endsWith(`autoScalingGroupName/${name}`))?.[1];
      if (overlay === undefined) throw new Error(`a refresh of a group that nobody asked about: ${name}`);
      return overlay;
    };
    return {
      desired: () => known().desired,
      template: () => known().template,
      give: (template: Template) => void Object.assign(known(), { template, launching: template }),
      image: imageAt,
      async machines(): Promise<readonly Machine[]> {
        const { group, overlay } = await found(name);
        const there = instancesOf(group).map(async ({ InstanceId: id }) => {
          const version = overlay.versions.get(id) ?? overlay.launching.version;
          const image = await imageAt({ id: overlay.template.id, version });
          const ready = (overlay.pending.get(id) ?? 0) <= Date.now();
          return { id, version, well: ready && !switches.unwell.has(image) };
        });
        return Promise.all(there);
      },
      async launchFrom(template: Template): Promise<void> {
        const LaunchTemplate = { LaunchTemplateId: template.id, Version: template.version };
        await admin.call("autoscaling", "UpdateAutoScalingGroup", { AutoScalingGroupName: name, LaunchTemplate });
        known().launching = template;
      },
      async replace(id: string): Promise<void> {
        const { group, overlay } = await found(name);
        const before = new Set(instancesOf(group).map(({ InstanceId }) => InstanceId));
        const instance = instancesOf(group).find(({ InstanceId }) => InstanceId === id);
        const params = { InstanceId: id, ShouldDecrementDesiredCapacity: false };
        await admin.call("autoscaling", "TerminateInstanceInAutoScalingGroup", params);
        if (instance !== undefined)
          overlay.going.set(id, { instance, until: Date.now() + switches.terminateMilliseconds });
        await came(name, before);
      },
    };
  }
  const note = (overlay: Overlay, activity: Omit<Activity, "id" | "started" | "ends">, milliseconds: number): void => {
    const started = Date.now();
    overlay.activities.unshift({ ...activity, id: randomUUID(), started, ends: started + milliseconds });
  };

  const launch = async (group: Group, overlay: Overlay, region: string): Promise<void> => {
    const there = instancesOf(group);
    const wanted = overlay.desired - there.length;
    const given = Math.min(wanted, switches.capacity ?? wanted);
    const cause = causeOf(overlay, "an instance was started", "increasing", there.length);
    if (given > 0) {
      const params = { AutoScalingGroupName: group.AutoScalingGroupName, DesiredCapacity: there.length + given };
      await admin.call("autoscaling", "SetDesiredCapacity", params, region);
      if (switches.capacity !== null) switches.capacity -= given;
      const before = new Set(there.map(({ InstanceId }) => InstanceId));
      for (const InstanceId of await came(group.AutoScalingGroupName, before)) {
        const description = `Launching a new EC2 instance: ${InstanceId}`;
        note(overlay, { status: "Successful", description, cause, message: null }, switches.launchMilliseconds);
      }
    }
    const failing = overlay.activities[0]?.status === "Failed";
    if (given < wanted && !failing) {
      const description = `Launching a new EC2 instance.  Status Reason: ${NO_CAPACITY}`;
      note(overlay, { status: "Failed", description, cause, message: NO_CAPACITY }, 0);
    }
  };

  const terminate = async (group: Group, overlay: Overlay, region: string): Promise<void> => {
    const there = instancesOf(group);
    const free = there.filter(({ ProtectedFromScaleIn }) => !ProtectedFromScaleIn);
    const wanted = there.length - overlay.desired;
    const cause = causeOf(overlay, "an instance was taken out of service", "shrinking", there.length);
    const taken = Math.min(wanted, free.length);
    if (taken > 0) {
      const params = { AutoScalingGroupName: group.AutoScalingGroupName, DesiredCapacity: there.length - taken };
      await admin.call("autoscaling", "SetDesiredCapacity", params, region);
      const [after] = await groups([group.AutoScalingGroupName], region);
      const left = new Set((after === undefined ? [] : instancesOf(after)).map(({ InstanceId }) => InstanceId));
      for (const instance of there) {
        if (left.has(instance.InstanceId)) continue;
        overlay.going.set(instance.InstanceId, { instance, until: Date.now() + switches.terminateMilliseconds });
        const description = `Terminating EC2 instance: ${instance.InstanceId}`;
        note(overlay, { status: "Successful", description, cause, message: null }, switches.terminateMilliseconds);
      }
    }
    if (taken < wanted && overlay.activities[0]?.message !== ALL_PROTECTED)
      note(overlay, { status: "Failed", description: ALL_PROTECTED, cause, message: ALL_PROTECTED }, 0);
  };

  /** What Auto Scaling does on its own until the group is as large as it should be; tried again each time that somebody looks. */
  const settle = async (name: string, region: string): Promise<void> => {
    const [group] = await groups([name], region);
    if (group === undefined) return;
    const overlay = overlayOf(group);
    await overlay.refresh.advance();
    const suspended = structures(group["SuspendedProcesses"]).map((process) => process["ProcessName"]);
    const count = instancesOf(group).length;
    if (count < overlay.desired && !suspended.includes("Launch")) await launch(group, overlay, region);
    if (count > overlay.desired && !suspended.includes("Terminate")) await terminate(group, overlay, region);
  };

  const seen = async (group: Group): Promise<Structure> => {
    const overlay = overlayOf(group);
    const now = Date.now();
    const machines = new Map((await handsOf(group.AutoScalingGroupName).machines()).map((one) => [one.id, one]));
    const launched = group["LaunchTemplate"] as Structure | undefined;
    const of = (version: string) =>
      launched === undefined ? {} : { LaunchTemplate: { ...launched, Version: version } };
    const there = instancesOf(group).map((instance) => ({
      ...instance,
      ...of(machines.get(instance.InstanceId)?.version ?? overlay.launching.version),
      HealthStatus:
        machines.get(instance.InstanceId)?.well === false && (overlay.pending.get(instance.InstanceId) ?? 0) <= now
          ? "Unhealthy"
          : "Healthy",
      LifecycleState: (overlay.pending.get(instance.InstanceId) ?? 0) > now ? "Pending" : instance.LifecycleState,
    }));
    const going = [...overlay.going.values()]
      .filter(({ until }) => until > now)
      .map(({ instance }) => ({ ...instance, LifecycleState: "Terminating" }));
    const said = { ...group, ...of(overlay.template.version) };
    return { ...said, DesiredCapacity: overlay.desired, Instances: [...there, ...going] };
  };

  const describe = async (params: Structure, region: string): Promise<Structure> => {
    const names = strings(params["AutoScalingGroupNames"]);
    for (const name of names) await settle(name, region);
    const { NextToken, MaxRecords, ...rest } = params;
    const all = await Promise.all((await pages(rest, region)).map(seen));
    const start = NextToken === undefined ? 0 : Number(NextToken);
    if (!Number.isSafeInteger(start)) throw new ServiceError("InvalidNextToken", "The NextToken value is not valid.");
    const size = typeof MaxRecords === "number" ? MaxRecords : 50;
    const next = start + size < all.length ? { NextToken: String(start + size) } : {};
    return { AutoScalingGroups: all.slice(start, start + size), ...next };
  };

  const set = async (params: Structure, region: string): Promise<void> => {
    const [name, desired] = [String(params["AutoScalingGroupName"]), Number(params["DesiredCapacity"])];
    const [group] = await groups([name], region);
    if (group === undefined)
      throw new ServiceError(
        "ValidationError",
        `AutoScalingGroup name not found - AutoScalingGroup '${name}' not found`,
      );
    if (desired > group.MaxSize)
      throw new ServiceError(
        "ValidationError",
        `New SetDesiredCapacity value ${desired} is above max value ${group.MaxSize} for the AutoScalingGroup.`,
      );
    if (desired < group.MinSize)
      throw new ServiceError(
        "ValidationError",
        `New SetDesiredCapacity value ${desired} is below min value ${group.MinSize} for the AutoScalingGroup.`,
      );
    if (switches.cooldown && params["HonorCooldown"] === true)
      throw new ServiceError("ScalingActivityInProgress", "You cannot change the desired capacity during a cooldown.");
    const overlay = overlayOf(group);
    if (desired !== overlay.desired)
      overlay.requests += `At ${instant()} a user request explicitly set group desired capacity changing the desired capacity from ${overlay.desired} to ${desired}.  `;
    overlay.desired = desired;
    await settle(name, region);
  };

  const activities = async (params: Structure, region: string): Promise<Structure> => {
    const name = String(params["AutoScalingGroupName"] ?? "");
    await settle(name, region);
    const [group] = await groups([name], region);
    if (group === undefined) return { Activities: [] };
    const now = Date.now();
    const all = overlayOf(group).activities.map((one) => ({
      ActivityId: one.id,
      AutoScalingGroupName: name,
      Description: one.description,
      Cause: one.cause,
      StartTime: new Date(one.started).toISOString(),
      ...(one.ends <= now ? { EndTime: new Date(one.ends).toISOString() } : {}),
      StatusCode: one.ends <= now ? one.status : "InProgress",
      StatusMessage: one.message ?? undefined,
      Progress: one.ends <= now ? 100 : 50,
      Details: '{"Subnet ID":"subnet-0","Availability Zone":"eu-west-1a"}',
    }));
    const start = Number(params["NextToken"] ?? 0);
    if (!Number.isSafeInteger(start)) throw new ServiceError("InvalidNextToken", "The NextToken value is not valid.");
    const size = Number(params["MaxRecords"] ?? 100);
    const next = start + size < all.length ? { NextToken: String(start + size) } : {};
    return { Activities: all.slice(start, start + size), ...next };
  };

  return {
    async see(name) {
      const found = await describe({ AutoScalingGroupNames: [name] }, REGION);
      const [group] = structures(found["AutoScalingGroups"]);
      if (group === undefined) throw new Error(`there is no group ${name}`);
      return group;
    },
    async relaunchByOther(name, version) {
      const { overlay } = await found(name);
      const template = { ...overlay.template, version };
      await handsOf(name).launchFrom(template);
      overlay.template = template;
    },
    async refreshByOther(name, version) {
      const { overlay } = await found(name);
      const LaunchTemplate = { LaunchTemplateId: overlay.template.id, Version: version };
      await overlay.refresh.start({ DesiredConfiguration: { LaunchTemplate } });
    },
    async instances(name) {
      return instancesOf((await found(name)).group).map(({ InstanceId }) => InstanceId);
    },
    async cancelByOther(name) {
      (await found(name)).overlay.refresh.cancel();
    },
    refreshed(name) {
      const overlay = [...overlays.entries()].find(([arn]) => arn.endsWith(`autoScalingGroupName/${name}`))?.[1];
      return {
        fewest: overlay?.refresh.fewest() ?? Number.NaN,
        refreshes: overlay?.refresh.statuses() ?? [],
      };
    },
    setByOther: (group, desired) => set({ AutoScalingGroupName: group, DesiredCapacity: desired }, REGION),
    async about(operation, params, region) {
      const name = params["AutoScalingGroupName"];
      if (operation.startsWith("Describe") || typeof name !== "string") return { resources: ["*"], context: {} };
      const [group] = await groups([name], region);
      const arn = `arn:aws:autoscaling:${region}:${ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/${name}`;
      const tags = group === undefined ? [] : structures(group["Tags"]);
      const context = tags.flatMap((tag) =>
        ["aws:ResourceTag", "autoscaling:ResourceTag"].map((key) => [`${key}/${tag["Key"]}`, [String(tag["Value"])]]),
      );
      return { resources: [group?.AutoScalingGroupARN ?? arn], context: Object.fromEntries(context) };
    },
    async answer(made) {
      const { operation, params, region } = made;
      if (operation === "DescribeAutoScalingGroups") return describe(params, region);
      if (operation === "DescribeScalingActivities") return activities(params, region);
      const name = String(params["AutoScalingGroupName"]);
      if (/InstanceRefresh(?:es)?$/.test(operation)) {
        await settle(name, region);
        const { refresh } = (await found(name)).overlay;
        if (operation === "DescribeInstanceRefreshes") return refresh.describe();
        const answer = operation === "StartInstanceRefresh" ? await refresh.start(params) : await refresh.rollBack();
        made.changed = true;
        return answer;
      }
      if (operation !== "SetDesiredCapacity") return admin.call("autoscaling", operation, params, region);
      await set(params, region);
      made.changed = true;
      return {};
    },
  };
}

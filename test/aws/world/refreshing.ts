/**
 * Instance refreshes, which moto does not have: each step of one is made of moto's own calls, that put an instance out of service and have
 * another launched from the version in question. From AWS's documentation: at most one at a time; instances that match are skipped; the
 * least that stays in service is rounded up, and at 100 % one is replaced at a time; the group is given the new version when all is done; a
 * refresh that fails, or is rolled back, replaces again what it replaced.
 */
import { randomUUID } from "node:crypto";
import { type Admin, MotoRefused, REGION } from "./admin.ts";
import type { Structure } from "./codec.ts";
import { ServiceError } from "./made.ts";

export type RefreshSwitches = {
  /** Machines that run one of these images never get well. */
  readonly unwell: Set<string>;
  /** How long a refresh waits for such machines before it fails. */
  failMilliseconds: number;
  /** What becomes of one that fails; "stays": AWS does not roll back, "hangs": it never ends by itself. */
  failed: "rolls back" | "stays" | "hangs" | "cannot roll back";
};
type Status =
  | "Pending"
  | "InProgress"
  | "Successful"
  | "Failed"
  | "RollbackInProgress"
  | "RollbackSuccessful"
  | "RollbackFailed";
type Refresh = {
  readonly id: string;
  readonly started: number;
  readonly to: Template;
  readonly from: Template;
  readonly preferences: Structure;
  status: Status;
  reason: string;
  failing: number | null;
  left: number;
};
export type Template = { readonly id: string; readonly version: string };
/** One instance as the refresh sees it. */
export type Machine = { readonly id: string; readonly version: string; readonly well: boolean };
/** What the groups of the world know and can do. */
export type Hands = {
  desired(): number;
  machines(): Promise<readonly Machine[]>;
  /** What is launched from now on. */
  launchFrom(template: Template): Promise<void>;
  /** What the group is said to launch from. */
  give(template: Template): void;
  template(): Template;
  replace(id: string, version: string): Promise<void>;
  image(template: Template): Promise<string>;
};

const ACTIVE: ReadonlySet<Status> = new Set(["Pending", "InProgress", "RollbackInProgress"]);

export function refreshing(name: string, hands: Hands, switches: RefreshSwitches) {
  const refreshes: Refresh[] = [];
  let fewest = Number.POSITIVE_INFINITY;
  const active = (): Refresh | undefined => refreshes.find(({ status }) => ACTIVE.has(status));

  const end = (refresh: Refresh, status: Status, reason: string): void => {
    refresh.status = status;
    refresh.reason = reason;
  };
  const fail = async (refresh: Refresh): Promise<void> => {
    const reason = "Instance refresh failed: some instances did not pass their health checks.";
    if (switches.failed === "stays") return end(refresh, "Failed", reason);
    await back(refresh, reason);
  };
  const back = async (refresh: Refresh, reason: string): Promise<void> => {
    if (switches.failed === "cannot roll back") return end(refresh, "RollbackFailed", reason);
    end(refresh, "RollbackInProgress", reason);
    await hands.launchFrom(refresh.from);
  };

  /** As far as a refresh gets now; called each time that somebody looks. */
  const advance = async (): Promise<void> => {
    const refresh = active();
    if (refresh === undefined) return;
    if (refresh.status === "Pending") refresh.status = "InProgress";
    const forward = refresh.status === "InProgress";
    const target = forward ? refresh.to : refresh.from;
    const machines = await hands.machines();
    const serving = machines.filter(({ well }) => well).length;
    fewest = Math.min(fewest, serving);
    const others = machines.filter(({ version }) => version !== target.version);
    refresh.left = others.length;
    const unwell = machines.filter(({ version, well }) => version === target.version && !well);
    const bad = forward && switches.unwell.has(await hands.image(refresh.to)) && unwell.length > 0;
    if (bad) {
      refresh.failing ??= Date.now() + switches.failMilliseconds;
      if (switches.failed !== "hangs" && Date.now() >= refresh.failing) return fail(refresh);
    }
    if (others.length === 0 && unwell.length === 0 && machines.length === hands.desired()) {
      hands.give(target);
      return end(refresh, forward ? "Successful" : "RollbackSuccessful", refresh.reason);
    }
    const share = Number(refresh.preferences["MinHealthyPercentage"] ?? 90);
    const least = Math.ceil((share * hands.desired()) / 100);
    let may = Math.max(0, serving - least);
    if (may === 0 && share === 100 && serving === hands.desired()) may = 1;
    // Those that serve nobody cost nothing; of the others as many as may be missing.
    for (const one of others.filter(({ well }) => !well)) await hands.replace(one.id, target.version);
    for (const one of others.filter(({ well }) => well).slice(0, may)) await hands.replace(one.id, target.version);
    fewest = Math.min(fewest, (await hands.machines()).filter(({ well }) => well).length);
  };

  return {
    advance,
    fewest: () => fewest,
    statuses: () => refreshes.map(({ status }) => status),
    async start(params: Structure): Promise<Structure> {
      if (active() !== undefined)
        throw new ServiceError("InstanceRefreshInProgress", "An Instance Refresh is already in progress.");
      const preferences = (params["Preferences"] ?? {}) as Structure;
      const { MinHealthyPercentage: least, MaxHealthyPercentage: most } = preferences;
      if (most !== undefined && (least === undefined || Number(most) - Number(least) > 100))
        throw new ServiceError("ValidationError", "MinHealthyPercentage and MaxHealthyPercentage do not go together.");
      const desired = (params["DesiredConfiguration"] as Structure | undefined)?.["LaunchTemplate"] as Structure;
      const to = { id: String(desired["LaunchTemplateId"]), version: String(desired["Version"]) };
      const from = hands.template();
      if (preferences["AutoRollback"] === true && from.version.startsWith("$"))
        throw new ServiceError("ValidationError", "AutoRollback is not supported for $Latest and $Default.");
      await hands.image(to);
      const refresh: Refresh = {
        ...{ id: randomUUID(), started: Date.now(), to, from, preferences, reason: "", failing: null, left: 0 },
        status: "Pending",
      };
      refreshes.unshift(refresh);
      await hands.launchFrom(to);
      return { InstanceRefreshId: refresh.id };
    },
    async rollBack(): Promise<Structure> {
      const refresh = refreshes.find(({ status }) => status === "Pending" || status === "InProgress");
      if (refresh === undefined)
        throw new ServiceError("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found.");
      await back(refresh, "Manual rollback.");
      return { InstanceRefreshId: refresh.id };
    },
    cancel(): void {
      for (const one of refreshes) if (ACTIVE.has(one.status)) Object.assign(one, { status: "Cancelled" });
    },
    describe: (): Structure => ({
      InstanceRefreshes: refreshes.map((one) => ({
        InstanceRefreshId: one.id,
        AutoScalingGroupName: name,
        Status: one.status,
        StatusReason: one.reason === "" ? undefined : one.reason,
        StartTime: new Date(one.started).toISOString(),
        PercentageComplete: one.status === "Successful" ? 100 : 0,
        InstancesToUpdate: one.left,
        Preferences: one.preferences,
        DesiredConfiguration: { LaunchTemplate: { LaunchTemplateId: one.to.id, Version: one.to.version } },
      })),
    }),
  };
}
export type Refreshing = ReturnType<typeof refreshing>;

/** The image of a version. Throws a ServiceError when there is no such version. */
export async function imageOf(admin: Admin, { id, version }: Template, region = REGION): Promise<string> {
  try {
    const which = { LaunchTemplateId: id, Versions: [version] };
    const found = await admin.call("ec2", "DescribeLaunchTemplateVersions", which, region);
    const [one] = found["LaunchTemplateVersions"] as readonly Structure[];
    const { ImageId: image } = (one?.["LaunchTemplateData"] ?? {}) as Structure;
    return String(image);
  } catch (error) {
    if (!(error instanceof MotoRefused)) throw error;
    throw new ServiceError("ValidationError", "You must use a valid fully-formed launch template.");
  }
}

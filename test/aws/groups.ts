import { awsProvider } from "../../providers/aws/aws.ts";
import { placesOf } from "../../providers/aws/endpoints.ts";
import { type GateOperation, makeGate } from "../../providers/gate.ts";
import type { Executed, Reconciled } from "../../providers/provider.ts";
import { ACCOUNT, COMMAND, configFor, SETTING } from "./fixture.ts";
import { type Asked, type Reply, recorder } from "./recorder.ts";

export type FakeInstance = { id: string; lifecycle?: string; health?: string; kept?: boolean; weight?: string };
export type FakeActivity = { id: string; status: string; cause?: string; message?: string };
/** A group as the tests say it. Only what moto does not know of Auto Scaling is said here; the rest is tried against moto. */
export type FakeGroup = {
  name: string;
  arn?: string;
  desired: number;
  min: number;
  max: number;
  instances: FakeInstance[];
  suspended?: string[];
  status?: string;
  units?: string;
};

export const OWN = "i-0feedfeedfeedfeed";
export const instance = (n: number, more: Partial<FakeInstance> = {}): FakeInstance => ({
  id: `i-${String(n).padStart(17, "0")}`,
  ...more,
});
export const group = (desired: number, more: Partial<FakeGroup> = {}): FakeGroup => ({
  name: "brokers",
  desired,
  min: 1,
  max: 9,
  instances: Array.from({ length: desired }, (_, n) => instance(n + 1)),
  ...more,
});

function members<T>(name: string, list: readonly T[], each: (one: T) => string): string {
  return `<${name}>${list.map((one) => `<member>${each(one)}</member>`).join("")}</${name}>`;
}

function groupXml(one: FakeGroup): string {
  const arn =
    one.arn ??
    `arn:aws:autoscaling:eu-west-1:${ACCOUNT}:autoScalingGroup:11111111-1111-1111-1111-111111111111:autoScalingGroupName/${one.name}`;
  return [
    `<AutoScalingGroupName>${one.name}</AutoScalingGroupName><AutoScalingGroupARN>${arn}</AutoScalingGroupARN>`,
    `<MinSize>${one.min}</MinSize><MaxSize>${one.max}</MaxSize><DesiredCapacity>${one.desired}</DesiredCapacity>`,
    one.status === undefined ? "" : `<Status>${one.status}</Status>`,
    one.units === undefined ? "" : `<DesiredCapacityType>${one.units}</DesiredCapacityType>`,
    members("SuspendedProcesses", one.suspended ?? [], (name) => `<ProcessName>${name}</ProcessName>`),
    members("Instances", one.instances, ({ id, lifecycle = "InService", health = "Healthy", kept = false, weight }) =>
      [
        `<InstanceId>${id}</InstanceId><AvailabilityZone>eu-west-1a</AvailabilityZone>`,
        `<LifecycleState>${lifecycle}</LifecycleState><HealthStatus>${health}</HealthStatus>`,
        `<ProtectedFromScaleIn>${kept}</ProtectedFromScaleIn>`,
        weight === undefined ? "" : `<WeightedCapacity>${weight}</WeightedCapacity>`,
      ].join(""),
    ),
  ].join("");
}

const wrap = (name: string, inside: string) =>
  `<${name}Response><${name}Result>${inside}</${name}Result></${name}Response>`;
const refusal = (code: string, message = "no", status = 400): Reply => ({
  status,
  body: `<ErrorResponse><Error><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
});

/** Auto Scaling, STS and the machine's metadata on one port. What a test does not set is well. */
export async function scaleWorld(start: FakeGroup | null) {
  const state = {
    group: start,
    activities: [] as FakeActivity[],
    instance: OWN as string | null,
    tag: null as string | null,
    account: ACCOUNT,
    arn: `arn:aws:sts::${ACCOUNT}:assumed-role/reeve/${OWN}`,
    /** Whether there is a metadata service. */
    machine: true,
    /** Called when the desired capacity is set; its answer is AWS's. */
    onSet: (count: number): Reply | null => {
      if (state.group !== null) state.group = { ...state.group, desired: count };
      return {};
    },
    /** Called before each read of the group, after the first. */
    onRead: (_nth: number): void => undefined,
    refuse: null as { operation: string; reply: Reply | null } | null,
    pages: 1,
    reads: 0,
  };
  const auto = (asked: Asked): Reply | null => {
    const form = new URLSearchParams(asked.body);
    const operation = form.get("Action") ?? "";
    if (state.refuse?.operation === operation) return state.refuse.reply;
    switch (operation) {
      case "GetCallerIdentity":
        return {
          body: wrap(operation, `<Arn>${state.arn}</Arn><Account>${state.account}</Account>`),
        };
      case "SetDesiredCapacity":
        return state.onSet(Number(form.get("DesiredCapacity")));
      case "DescribeAutoScalingGroups": {
        const page = Number(form.get("NextToken") ?? 1);
        if (page < state.pages)
          return { body: wrap(operation, `<AutoScalingGroups/><NextToken>${page + 1}</NextToken>`) };
        if (state.reads++ > 0) state.onRead(state.reads);
        return {
          body: wrap(operation, members("AutoScalingGroups", state.group === null ? [] : [state.group], groupXml)),
        };
      }
      case "DescribeScalingActivities":
        return {
          body: wrap(
            operation,
            members("Activities", state.activities, ({ id, status, cause = "", message = "" }) =>
              [
                `<ActivityId>${id}</ActivityId><AutoScalingGroupName>brokers</AutoScalingGroupName>`,
                `<Cause>${cause}</Cause><StatusCode>${status}</StatusCode><StatusMessage>${message}</StatusMessage>`,
              ].join(""),
            ),
          ),
        };
      default:
        return refusal("InvalidAction");
    }
  };
  const machine = (asked: Asked): Reply => {
    if (!state.machine) return { status: 404 };
    if (asked.path === "/latest/api/token") return { body: "TOKEN" };
    if (asked.path.endsWith("/security-credentials/reeve"))
      return {
        body: JSON.stringify({
          ...{ Code: "Success", AccessKeyId: "ASIAEXAMPLEEXAMPLE00", SecretAccessKey: "secret", Token: "session" },
          Expiration: new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z/, "Z"),
        }),
      };
    const value = asked.path.endsWith("/instance-id") ? state.instance : state.tag;
    return value === null ? { status: 404 } : { body: value };
  };
  const server = await recorder((asked) => (asked.path.startsWith("/latest/") ? machine(asked) : auto(asked)));
  const aws = configFor(server.url);
  const provider = await awsProvider(SETTING, aws);
  const recorded: GateOperation[] = [];
  const gateOf = (phase: "read" | "all", resource: string) =>
    makeGate({
      table: provider.scale.operations,
      places: placesOf(aws, "autoscaling", ["POST"]),
      resource,
      phase,
      beforeChange: () => undefined,
      now: () => performance.now(),
      record: (operation) => recorded.push(operation),
    });
  const errand = (deadlineMs: number) => ({ id: COMMAND, signal: AbortSignal.timeout(deadlineMs) });
  const args = (count: number) => ({ group: "brokers", count });
  return {
    state,
    provider,
    recorded,
    names: () =>
      server.asked.map(({ body }) => new URLSearchParams(body).get("Action")).filter((name) => name !== null),
    url: server.url,
    asked: server.asked,
    describe: () => provider.scale.describe(gateOf("read", "brokers"), args(1), errand(5000)),
    execute: (count: number, found: number, deadlineMs = 5000): Promise<Executed> =>
      provider.scale.execute(gateOf("all", "brokers"), args(count), { count: found }, errand(deadlineMs)),
    reconcile: (count: number, found: number, deadlineMs = 5000): Promise<Reconciled> =>
      provider.scale.reconcile(gateOf("read", "brokers"), args(count), { count: found }, errand(deadlineMs)),
    close: () => server.close(),
  };
}

export { refusal };

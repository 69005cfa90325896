import { dialer } from "../../agent/host/dial.ts";
import type { Host } from "../../agent/host/host.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { realClock, realHost } from "../../agent/host/real.ts";
import { AwsConfig } from "../../agent/providerConfig/aws.ts";
import { type AwsCalls, type AwsContext, awsCalls, type CredentialSource } from "../../providers/aws/call.ts";
import { placesOf } from "../../providers/aws/endpoints.ts";
import type { Service } from "../../providers/aws/operations.ts";
import { type GateOperation, makeGate } from "../../providers/gate.ts";
import { CallFailed, GateBreach, type OperationsTable, type Setting } from "../../providers/provider.ts";

export const COMMAND = "0193a0b1-7c00-7000-8000-000000000001";
export const ACCOUNT = "111122223333";

/** A config whose every endpoint is one server of this machine. */
export function configFor(url: string, more: Record<string, unknown> = {}): AwsConfig {
  const names = ["autoscaling", "ec2", "acm-pca", "route53", "sts", "metadata"] as const;
  const endpoints = Object.fromEntries(names.map((name) => [name, url]));
  return AwsConfig.parse({
    account: ACCOUNT,
    role: "reeve",
    region: "eu-west-1",
    partition: "aws",
    endpoints,
    ...more,
  });
}

/** The real host whose waits pass `times` faster. */
export function hastyHost(times: number): Host {
  return {
    ...realHost(),
    clock: {
      now: realClock.now,
      monotonic: () => realClock.monotonic() * times,
      sleep: (milliseconds, signal) => realClock.sleep(milliseconds / times, signal),
    },
  };
}

/** What a provider is made with: hurried waits, nothing between it and the counterpart. */
export const SETTING: Setting = {
  host: hastyHost(100),
  version: "9.9.9",
  dial: dialer(DIRECT),
  owner: { directory: "/etc/reeve/owner", uid: 0 },
};

export const CREDENTIALS = { accessKeyId: "ASIAEXAMPLEEXAMPLE00", secretAccessKey: "secret", sessionToken: "token" };

export type World = {
  readonly calls: AwsCalls;
  readonly gate: ReturnType<typeof makeGate>;
  readonly recorded: GateOperation[];
  readonly forgotten: number[];
};

/** One command's calls of one service, with a gate like the road's. */
export function worldOf(
  aws: AwsConfig,
  service: Service,
  table: OperationsTable,
  resource: string,
  more: {
    readonly beforeChange?: () => void;
    readonly phase?: "read" | "all";
    readonly signal?: AbortSignal;
    readonly current?: CredentialSource["current"];
    /** That a scale was judged for. */
    readonly count?: number;
  } = {},
): World {
  const recorded: GateOperation[] = [];
  const forgotten: number[] = [];
  const methods = [...new Set(table.map(({ method }) => method))];
  const gate = makeGate({
    table,
    places: placesOf(aws, service, methods),
    resource,
    phase: more.phase ?? "all",
    beforeChange: more.beforeChange ?? (() => undefined),
    now: () => performance.now(),
    record: (operation) => recorded.push(operation),
  });
  const context: AwsContext = {
    ...SETTING,
    aws,
    credentials: { current: more.current ?? (async () => CREDENTIALS), forget: () => forgotten.push(1) },
  };
  const errand = { id: COMMAND, signal: more.signal ?? new AbortController().signal };
  return { calls: awsCalls(context, gate, errand, resource, { count: more.count ?? null }), gate, recorded, forgotten };
}

export async function caught(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error("nothing was thrown");
    },
    (error: unknown) => error,
  );
}

export async function breachOf(promise: Promise<unknown>): Promise<GateBreach> {
  const error = await caught(promise);
  if (!(error instanceof GateBreach)) throw new Error(`no breach: ${String(error)}`);
  return error;
}

export async function failureOf(promise: Promise<unknown>): Promise<CallFailed> {
  const error = await caught(promise);
  if (!(error instanceof CallFailed)) throw new Error(`no failed call: ${String(error)}`);
  return error;
}

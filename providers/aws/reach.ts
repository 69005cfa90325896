import type { Dial } from "../../agent/host/dial.ts";
import type { Rule } from "../../policy/policy.ts";
import { noAnswer } from "../noAnswer.ts";
import { CallFailed, type ReachedPart } from "../provider.ts";
import type { AwsContext } from "./call.ts";
import { endpointOf } from "./endpoints.ts";
import { denied, hintOf } from "./hints.ts";
import { DOCTOR, LOOK_WITHIN_MS, REACH_TIMEOUT_MS } from "./limits.ts";
import type { Service } from "./operations.ts";
import { awsOperation } from "./operations.ts";
import type { Own } from "./own.ts";
import { inTime, readingCalls } from "./readingCalls.ts";
import { type Reads, readsOf } from "./reads.ts";
import { changesReached } from "./simulate.ts";

const SERVICES: readonly Service[] = ["autoscaling", "acm-pca", "route53", "sts"];

async function look(what: string, how: () => Promise<string>, hint = hintOf): Promise<ReachedPart> {
  try {
    return { what, ok: true, because: await how(), hint: "" };
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    return { what, ok: false, because: `${error.status}: ${error.words}`, hint: hint(error.status) };
  }
}

/**
 * What `probe` says: the metadata service, whose the credentials are, each endpoint up to its certificate, each read that the rules make
 * necessary, tried on what they name, and what IAM would say to their changes. Reads only; through a gate like a command's.
 */
export async function reached(
  context: AwsContext,
  own: Own,
  rules: readonly Rule[],
  signal: AbortSignal,
): Promise<ReachedPart[]> {
  const enough = new AbortController();
  const stop = (): void => enough.abort();
  const timer = setTimeout(stop, LOOK_WITHIN_MS);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await lookedAt(context, own, rules, enough.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

async function lookedAt(
  context: AwsContext,
  own: Own,
  rules: readonly Rule[],
  signal: AbortSignal,
): Promise<ReachedPart[]> {
  const { account, role, region, partition, endpoints } = context.aws;
  const [metadata, group, credentials, ...services] = await Promise.all([
    look(`metadata ${endpoints.metadata}`, async () => `this machine is ${await own.instance()}`),
    look("own group", async () => ownGroup(await own.group())),
    look(`role ${role}`, async () => {
      await inTime(context.credentials.current(DOCTOR), signal);
      return `its credentials are of account ${account}, partition ${partition}; region ${region}`;
    }),
    ...SERVICES.map((service) => {
      const { url } = endpointOf(context.aws, service);
      return look(`${service} ${url}`, async () => {
        await connects(context.dial, new URL(url), signal);
        return "it can be reached";
      });
    }),
  ]);
  const parts = [metadata, group, credentials, ...services];
  // Without credentials or a way every read would say the same once more.
  if (credentials.ok !== true) return parts;
  const open = SERVICES.filter((_, at) => services[at]?.ok === true);
  const tried = await Promise.all([
    ...open.map((service) =>
      readsReached(
        context,
        readsOf(rules, own).filter((reads) => reads.service === service),
        signal,
      ),
    ),
    changesReached(context, rules, signal),
  ]);
  return [...parts, ...tried.flat()];
}

/** One after another: an account's calls are rationed. */
async function readsReached(context: AwsContext, all: readonly Reads[], signal: AbortSignal): Promise<ReachedPart[]> {
  const parts: ReachedPart[] = [];
  for (const { on, reads, ...what } of all) {
    for (const { operation, ask } of reads) {
      const calls = readingCalls(context, what, { id: DOCTOR, signal });
      const needs = awsOperation(operation)?.permissions ?? [];
      const hint = (status: string): string => (status === "denied" ? denied(needs) : hintOf(status));
      parts.push(await look(`${operation} ${on}`, () => inTime(ask(calls), signal), hint));
    }
  }
  return parts;
}

function ownGroup(name: string | null): string {
  if (name !== null) return `the agent runs in the group ${name}, which is never scaled`;
  return "this machine's tags show no group: one that holds this machine is refused when it is read";
}

/** Opens a connection, to an https endpoint with TLS and its certificate checked, and says nothing on it. */
async function connects(dial: Dial, url: URL, signal: AbortSignal): Promise<void> {
  const tls = url.protocol === "https:";
  const to = {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || (tls ? 443 : 80)),
    tls,
    roots: null,
  };
  const socket = await dial(to, { timeoutSeconds: REACH_TIMEOUT_MS / 1000, signal });
  if (!("unreachable" in socket)) return void socket.destroy();
  const failed = noAnswer(socket.unreachable, false);
  throw new CallFailed(failed.status, failed.message, "none");
}

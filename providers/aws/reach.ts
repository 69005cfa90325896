import type { Dial } from "../../agent/host/dial.ts";
import { noAnswer } from "../noAnswer.ts";
import { CallFailed, type ReachedPart } from "../provider.ts";
import type { AwsContext } from "./call.ts";
import { endpointOf } from "./endpoints.ts";
import { hintOf } from "./hints.ts";
import { REACH_TIMEOUT_MS } from "./limits.ts";
import type { Service } from "./operations.ts";
import type { Own } from "./own.ts";

const SERVICES: readonly Service[] = ["autoscaling", "acm-pca", "route53", "sts"];
/** In place of a command's id in the user agent. */
const DOCTOR = "doctor";

/**
 * What `probe` says: the metadata service, whose the credentials are, and each endpoint up to its certificate. Of AWS it asks the one
 * question that needs no permission (GetCallerIdentity); a command's reads are tried by a dry run, which has a rule.
 */
export function reached(context: AwsContext, own: Own, signal: AbortSignal): Promise<ReachedPart[]> {
  const look = async (what: string, how: () => Promise<string>): Promise<ReachedPart> => {
    try {
      return { what, ok: true, because: await how(), hint: "" };
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      return { what, ok: false, because: `${error.status}: ${error.words}`, hint: hintOf(error.status) };
    }
  };
  const { account, role, region, partition, endpoints } = context.aws;
  return Promise.all([
    look(`metadata ${endpoints.metadata}`, async () => `this machine is ${await own.instance()}`),
    look("own group", async () => ownGroup(await own.group())),
    look(`role ${role}`, async () => {
      await context.credentials.current(DOCTOR);
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

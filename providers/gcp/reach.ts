import type { Dial } from "../../agent/host/dial.ts";
import type { Rule } from "../../policy/policy.ts";
import { noAnswer } from "../noAnswer.ts";
import { CallFailed, type ReachedPart } from "../provider.ts";
import type { GcpContext } from "./call.ts";
import { type Called, endpointOf } from "./endpoints.ts";
import { hintOf } from "./hints.ts";
import type { Own } from "./own.ts";
import { lacking } from "./rights.ts";
import { tryReads } from "./tryReads.ts";

const SERVICES: readonly Called[] = ["compute", "privateca", "dns"];
const REACH_TIMEOUT_SECONDS = 3;

/**
 * What `probe` says: the metadata server, whose the credentials are, each endpoint up to its certificate, and for each rule that its resource
 * can be read and that the service account has every permission on it. Google is asked for no change, and what asks for rights needs none.
 */
export async function reached(
  context: GcpContext,
  own: Own,
  rules: readonly Rule[],
  signal: AbortSignal,
): Promise<ReachedPart[]> {
  const look = async (what: string, how: () => Promise<string>): Promise<ReachedPart> => {
    try {
      return { what, ok: true, because: await how(), hint: "" };
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      return { what, ok: false, because: `${error.status}: ${error.words}`, hint: hintOf(error.status) };
    }
  };
  const { project, account, region, endpoints } = context.gcp;
  const machine = await Promise.all([
    look(`metadata ${endpoints.metadata}`, async () => `this machine is ${(await own.instance()).path}`),
    look("own group", async () => ownGroup(await own.group())),
    look(`account ${account}`, async () => {
      await context.tokens.current();
      return `the machine runs as it, in project ${project}; region ${region}`;
    }),
    ...SERVICES.map((service) => {
      const url = endpointOf(context.gcp, service);
      return look(`${service} ${url.origin}`, async () => {
        await connects(context.dial, url, signal);
        return "it can be reached";
      });
    }),
  ]);
  const perRule = await Promise.all(
    rules.flatMap((rule) => [
      look(`rule ${rule.id} reads`, () => tryReads(context, own, rule, signal)),
      look(`rule ${rule.id} rights`, () => lacking(context, rule)),
    ]),
  );
  return [...machine, ...perRule];
}

function ownGroup(name: string | null): string {
  if (name !== null) return `the agent runs in the group ${name}, which is never scaled`;
  return "no group made this machine: one that holds it is refused when it is read";
}

/** Opens a connection, to an https endpoint with TLS and its certificate checked, and says nothing on it. */
async function connects(dial: Dial, url: URL, signal: AbortSignal): Promise<void> {
  const tls = url.protocol === "https:";
  const port = Number(url.port || (tls ? 443 : 80));
  const to = { host: url.hostname.replace(/^\[|\]$/g, ""), port, tls, roots: null };
  const socket = await dial(to, { timeoutSeconds: REACH_TIMEOUT_SECONDS, signal });
  if (!("unreachable" in socket)) return void socket.destroy();
  const failed = noAnswer(socket.unreachable, false);
  throw new CallFailed(failed.status, failed.message, "none");
}

import type { Rule } from "../../policy/policy.ts";
import { makeGate } from "../gate.ts";
import { noAnswer } from "../noAnswer.ts";
import { CallFailed, type ReachedPart } from "../provider.ts";
import type { Dial } from "../transport.ts";
import type { AzureContext } from "./call.ts";
import { endpointOf } from "./endpoints.ts";
import { hintOf } from "./hints.ts";
import { REACH_TIMEOUT_MS } from "./limits.ts";
import type { OwnMachine } from "./own.ts";
import { callsFor, type Reads, readsOf } from "./reads.ts";

type Deps = { readonly context: AzureContext; own(): Promise<OwnMachine> };

async function look(what: string, how: () => Promise<string>): Promise<ReachedPart> {
  try {
    return { what, ok: true, because: await how(), hint: "" };
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    return { what, ok: false, because: `${error.status}: ${error.words}`, hint: hintOf(error.status) };
  }
}

/**
 * What `probe` says: the metadata service, whose the token is, each endpoint up to its certificate, and each read that the rules make
 * necessary, tried on what they name. Reads only, each through a gate like a command's.
 */
export async function reached(
  { context, own }: Deps,
  rules: readonly Rule[],
  signal: AbortSignal,
): Promise<ReachedPart[]> {
  const { azure, dial, tokens } = context;
  const arm = endpointOf(azure, "arm");
  const vaults = [...new Set(Object.keys(azure.authorities).map((name) => name.split("/")[0] ?? ""))];
  const places = [arm.url, ...vaults.map((vault) => endpointOf(azure, { vault }).url)];
  const [metadata, identity, ...endpoints] = await Promise.all([
    look(`metadata ${azure.endpoints.metadata}`, async () => ownWords(await own())),
    look(`identity ${azure.principal}`, async () => {
      await tokens.current(arm.audience);
      return `its token is of tenant ${azure.tenant}; subscription ${azure.subscription}`;
    }),
    ...places.map((url) =>
      look(`endpoint ${url.origin}`, async () => {
        await connects(dial, url, signal);
        return "it can be reached";
      }),
    ),
  ]);
  const parts = [metadata, identity, ...endpoints].filter((part) => part !== undefined);
  // Without a token or a way every read would say the same once more.
  if (parts.some(({ ok }) => !ok)) return parts;
  const tried = await Promise.all(
    readsOf(context, rules).map((reads) => look(reads.what, () => ask(context, reads, signal))),
  );
  return [...parts, ...tried];
}

function ask(context: AzureContext, reads: Reads, signal: AbortSignal): Promise<string> {
  const gate = makeGate({
    ...{ table: reads.table, places: reads.places, resource: reads.resource, phase: "read" },
    beforeChange: () => undefined,
    now: () => context.host.clock.monotonic(),
    record: () => undefined,
  });
  return reads.ask(context, callsFor(context, gate, reads, signal), gate);
}

function ownWords({ name, scaleSet }: OwnMachine): string {
  return scaleSet === null
    ? `this machine is ${name}`
    : `this machine is ${name}, of the scale set ${scaleSet}, which is never scaled`;
}

/** Opens a connection, to an https endpoint with TLS and its certificate checked, and says nothing on it. */
async function connects(dial: Dial, url: URL, signal: AbortSignal): Promise<void> {
  const tls = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const to = { host, port: Number(url.port || (tls ? 443 : 80)), tls, roots: null };
  const socket = await dial(to, { timeoutSeconds: REACH_TIMEOUT_MS / 1000, signal });
  if (!("unreachable" in socket)) return void socket.destroy();
  const failed = noAnswer(socket.unreachable, false);
  throw new CallFailed(failed.status, failed.message, "none");
}

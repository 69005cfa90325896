import { z } from "zod";
import type { Clock } from "../../agent/host/host.ts";
import type { GcpConfig } from "../../agent/providerConfig/gcp.ts";
import { CallFailed } from "../provider.ts";
import { LAST_USE_MS, REFRESH_BEFORE_MS } from "./limits.ts";
import type { Metadata } from "./metadata.ts";

/** Tokens that hold now, of the account that the config names. Throws CallFailed: never a call without. */
export type Tokens = {
  current(): Promise<string>;
  /** Google does not take it any more. */
  forget(token: string): void;
};

/** As the metadata server gives it; fields that are not used are let be. */
const Given = z.object({
  access_token: z.string().regex(/^[\x21-\x7e]{1,4096}$/),
  expires_in: z.number().int().min(0).max(86_400),
  token_type: z.literal("Bearer"),
});
type Held = { readonly token: string; readonly until: number };

/**
 * The machine's service account's tokens from its metadata server. Project and account are compared with the config's before each token is
 * asked for: one that is not of both is never used, and ends the use of the one before.
 */
export function tokenSource(deps: {
  readonly clock: Clock;
  readonly metadata: Metadata;
  readonly gcp: Pick<GcpConfig, "project" | "account">;
}): Tokens {
  const { clock, metadata, gcp } = deps;
  let held: Held | null = null;
  let refreshing: Promise<Held> | null = null;
  const leftOf = ({ until }: Held): number => until - clock.monotonic();

  const refresh = async (): Promise<Held> => {
    const project = await metadata.read("project/project-id");
    const account = await metadata.read("instance/service-accounts/default/email");
    const fault = identityFault(gcp, project, account);
    if (fault !== null) {
      held = null;
      throw fault;
    }
    const asked = clock.monotonic();
    const { access_token: token, expires_in: seconds } = await readToken(metadata, gcp.account);
    const fresh = { token, until: asked + seconds * 1000 };
    if (leftOf(fresh) <= LAST_USE_MS)
      throw new CallFailed("credentials-expired", "the metadata server has no newer token", "none");
    held = fresh;
    return fresh;
  };

  return {
    async current() {
      const before = held;
      if (before !== null && leftOf(before) > REFRESH_BEFORE_MS) return before.token;
      refreshing ??= refresh().finally(() => {
        refreshing = null;
      });
      try {
        return (await refreshing).token;
      } catch (error) {
        // The metadata server is away for a while, and what is held still holds.
        if (held !== null && held === before && error instanceof CallFailed && leftOf(held) > LAST_USE_MS)
          return held.token;
        throw error;
      }
    },
    forget(token) {
      if (held?.token === token) held = null;
    },
  };
}

/** Whose tokens this machine gets, held to the config. */
function identityFault(
  gcp: Pick<GcpConfig, "project" | "account">,
  project: string | null,
  account: string | null,
): CallFailed | null {
  if (account === null) return new CallFailed("no-account", "the machine has no service account", "none");
  if (project !== gcp.project)
    return new CallFailed("identity-project", `the machine is of ${project}, the config names ${gcp.project}`, "none");
  if (account === gcp.account) return null;
  return new CallFailed("identity-account", `the machine runs as ${account}, the config names ${gcp.account}`, "none");
}

async function readToken(metadata: Metadata, account: string): Promise<z.infer<typeof Given>> {
  // By its own name: a token of another account cannot come.
  const text = await metadata.read(`instance/service-accounts/${account}/token`);
  if (text === null) throw new CallFailed("no-account", `the machine has no service account ${account}`, "none");
  const given = Given.safeParse(jsonOf(text));
  if (!given.success) throw new CallFailed("metadata-malformed", "what it gave as a token is none", "none");
  return given.data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

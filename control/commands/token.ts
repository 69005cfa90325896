import type { Command } from "commander";
import type { SignerOptions } from "../signer.ts";
import { clusterName } from "../statement.ts";
import { seconds } from "../terminal.ts";
import { type MadeToken, makeToken } from "../token.ts";
import { onlySigner, signerFor, withSigner } from "./signing.ts";
import { out, withStore } from "./state.ts";

export function addToken(top: Command): void {
  withSigner(
    top
      .command("token")
      .description("Make a join token: good for one enrolment. Only the token goes to stdout.")
      .requiredOption("--dir <folder>", "the control plane's folder")
      .requiredOption("--cluster <name>", "the cluster that may join")
      .option("--ttl <duration>", "how long it is good, at most 24h", "1h")
      .option("--json", "print JSON"),
  ).action(async (options: SignerOptions & { dir: string; cluster: string; ttl: string; json?: boolean }) => {
    const ttl = seconds(options.ttl, "make a token");
    const made = await mintToken(options.dir, clusterName(options.cluster), ttl, options);
    const { sub, url, sha, exp } = made.claims;
    out(
      options.json
        ? `${JSON.stringify({ token: made.token, cluster: sub, url, root_sha256: sha, exp })}\n`
        : `${made.token}\n`,
    );
  });
}

/** A token, and with a command key the cluster's first trust statement, if it has none; which is said on stderr. `ttl` in seconds. */
export async function mintToken(dir: string, cluster: string, ttl: number, options: SignerOptions): Promise<MadeToken> {
  const named = options.keys !== undefined || options.signer !== undefined;
  const only = named ? onlySigner(options) : null;
  const signer = only ?? (named ? await withStore(dir, (store) => signerFor(store, cluster, options)) : null);
  const made = await makeToken(dir, cluster, ttl, signer);
  if (made.signedStatement) process.stderr.write(`signed trust statement 1 of ${made.claims.sub}\n`);
  return made;
}

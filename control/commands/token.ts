import type { Command } from "commander";
import { openSigner, type SignerOptions } from "../signer.ts";
import { seconds } from "../terminal.ts";
import { makeToken } from "../token.ts";
import { withSigner } from "./signing.ts";
import { out } from "./state.ts";

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
    const made = await makeToken(
      options.dir,
      options.cluster,
      seconds(options.ttl, "make a token"),
      openSigner(options),
    );
    if (made.signedStatement) process.stderr.write(`signed trust statement 1 of ${made.claims.sub}\n`);
    const { sub, url, sha, exp } = made.claims;
    out(
      options.json
        ? `${JSON.stringify({ token: made.token, cluster: sub, url, root_sha256: sha, exp })}\n`
        : `${made.token}\n`,
    );
  });
}

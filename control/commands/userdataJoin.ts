import { readFileSync } from "node:fs";
import type { TokenClaims } from "../../agent/wire/protocol.ts";
import { readTokenForm } from "../../agent/wire/token.ts";
import { thumbprint } from "../../agent/wire/trust.ts";
import type { SignerOptions } from "../signer.ts";
import { readStatements } from "../statement.ts";
import { nowSeconds } from "../store.ts";
import { Complaint, seconds } from "../terminal.ts";
import { withStore } from "./state.ts";
import { mintToken } from "./token.ts";

const CANNOT = "render user-data";

export type JoinOptions = SignerOptions & {
  provider: string;
  token?: string;
  dir?: string;
  ttl: string;
  enrol?: string;
  rootSha256?: string;
  trustSha256?: string;
};

/** How a machine joins, and whom. `token` null: by what its platform shows. `until`: when the token expires, in Unix seconds. */
export type Join = {
  readonly token: string | null;
  readonly until: number | null;
  readonly claims: Pick<TokenClaims, "url" | "sha">;
  readonly trustSha256: string;
};

/** By a token that was made elsewhere, by a new one, or by no token. */
export async function joinOf(options: JoinOptions, cluster: string): Promise<Join> {
  const { token, dir, enrol, trustSha256 } = options;
  if ([token, dir, enrol].filter((one) => one !== undefined).length !== 1)
    throw new Complaint(
      2,
      CANNOT,
      "not exactly one of --token, --dir and --enrol is given",
      "--token FILE, --dir FOLDER to make one, or --enrol URL where the machine's cloud shows who it is.",
    );
  if (dir !== undefined) {
    const made = await mintToken(dir, cluster, seconds(options.ttl, CANNOT), options);
    return { ...made, until: made.claims.exp, trustSha256: trustSha256 ?? (await firstThumbprint(dir, cluster)) };
  }
  if (trustSha256 === undefined)
    throw new Complaint(
      2,
      CANNOT,
      "nobody says whose commands the machine takes",
      "Give --trust-sha256, which `reeve-control keys` prints.",
    );
  if (token !== undefined) return { ...given(token, cluster), trustSha256 };
  return { token: null, until: null, claims: admitted(options), trustSha256 };
}

function given(file: string, cluster: string): Omit<Join, "trustSha256"> {
  const token = read(file === "-" ? 0 : file)
    .toString("latin1")
    .trim();
  const claims = readTokenForm(token);
  if ("fault" in claims) throw new Complaint(6, CANNOT, claims.fault, claims.hint);
  if (claims.sub !== cluster)
    throw new Complaint(
      6,
      CANNOT,
      `the token is for the cluster ${claims.sub}`,
      `Ask the vendor for one for ${cluster}.`,
    );
  if (claims.exp <= nowSeconds())
    throw new Complaint(6, CANNOT, "the token has expired", "Ask the vendor for a new one (`reeve-control token`).");
  return { token, until: claims.exp, claims };
}

/** Without a token both pins must be named, and a platform must be there that shows anything. */
function admitted({ provider, enrol, rootSha256 }: JoinOptions): Join["claims"] {
  if (provider === "local")
    throw new Complaint(2, CANNOT, "a local machine has no platform that shows who it is", "Give --token or --dir.");
  if (enrol !== undefined && rootSha256 !== undefined) return { url: enrol, sha: rootSha256 };
  throw new Complaint(
    2,
    CANNOT,
    "nobody says which control plane is the right one",
    "Give --root-sha256, which `reeve-control serve` prints.",
  );
}

async function firstThumbprint(dir: string, cluster: string): Promise<string> {
  const first = (await withStore(dir, (store) => store.read((sql) => readStatements(sql, cluster))))[0];
  if (first !== undefined) return thumbprint(first.x);
  throw new Complaint(
    3,
    CANNOT,
    `there is no trust statement for ${cluster} yet, so no command key is known`,
    "Give --keys FOLDER (or --signer) to sign the first, or --trust-sha256.",
  );
}

export function read(file: string | 0): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const code = String((error as { code?: unknown }).code);
    throw new Complaint(4, CANNOT, `${file} cannot be read (${code})`, "Name a file that this user may read.");
  }
}

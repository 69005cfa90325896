import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { makeServer } from "../ca.ts";
import { issuerOf, makeRootCertificate } from "../certificates.ts";
import { makeFolderDurably, writeDurably } from "../files.ts";
import { rootOf } from "../roots.ts";

/** What a server shows, PEM. `root`: the file of the root to trust, where the witness made it itself. */
export type ServerPair = { readonly key: string; readonly cert: string; readonly root: string | null };

/** A certificate of the witness's own for one name or address, by a root of its own in DIR/tls: what it is asked is signed, so nothing more hangs on it. */
export async function witnessTls(dir: string, host: string): Promise<ServerPair> {
  const folder = join(dir, "tls");
  makeFolderDurably(folder);
  const rootFile = join(folder, "root.pem");
  // root.pem is written last: if we stop before it, the next start makes both anew, and nobody has seen them.
  if (!existsSync(rootFile)) {
    const made = await makeRootCertificate("reeve witness root");
    writeDurably(join(folder, "root.key"), made.key, 0o600);
    writeDurably(rootFile, made.pem, 0o644);
  }
  const root = rootOf(readFileSync(rootFile, "utf8"));
  const issuer = await issuerOf(root.pem, readFileSync(join(folder, "root.key"), "utf8"));
  await makeServer(folder, root, issuer, [host]);
  const leaf = readFileSync(join(folder, "server.pem"), "utf8");
  return {
    key: readFileSync(join(folder, "server.key"), "utf8"),
    cert: `${leaf.trim()}\n${root.pem.trim()}\n`,
    root: rootFile,
  };
}

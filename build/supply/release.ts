/**
 * `bun build/supply/release.ts --keys FOLDER [--kid NAME] | --signer COMMAND --signer-key FILE [--from FOLDER] [--out FOLDER]`: the release
 * folder, from what dist/SHA256SUMS and dist/PACKAGES.SHA256 name: each file with a detached Ed25519 signature (`.sig`, base64), SHA256SUMS,
 * provenance.intoto.json and the public key. The same files and key give the same folder. Refused when a file is not what its line says.
 */
import { spawnSync } from "node:child_process";
import { createHash, createPublicKey } from "node:crypto";
import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openSigner, type Signer } from "../../control/signer.ts";
import { Complaint } from "../../control/terminal.ts";
import { fail, ROOT } from "../command.ts";
import { envelopeOf, type Subject, statementOf } from "./provenance.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** What a list in the form of sha256sum names. */
function listed(file: string): Subject[] {
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => {
    const [, digest, name] = /^([0-9a-f]{64}) {2}([A-Za-z0-9._~+-]+)$/.exec(line) ?? [];
    if (digest === undefined || name === undefined) fail(`Cannot read ${file}: ${line}`, "bun run build");
    return { name, sha256: digest };
  });
}

/** The commit that the sources are; null when they are more or less than one. */
function commitOf(): string | null {
  const git = (...words: string[]) => spawnSync("git", words, { cwd: ROOT, encoding: "utf8" });
  const [head, changed] = [git("rev-parse", "HEAD"), git("status", "--porcelain")];
  return head.status === 0 && changed.status === 0 && changed.stdout === "" ? head.stdout.trim() : null;
}

function release(from: string, out: string, signer: Signer): void {
  const packages = join(from, "PACKAGES.SHA256");
  const subjects = [...listed(join(from, "SHA256SUMS")), ...(existsSync(packages) ? listed(packages) : [])];
  const names = subjects.map(({ name }) => name);
  const missing = ["reeve", "reeve.cdx.json", "reeve-control", "reeve-control.cdx.json"].filter(
    (one) => !names.includes(one),
  );
  if (missing.length > 0) fail(`Cannot release: ${missing.join(", ")} is not built.`, "bun run build");
  const making = `${out}.making-${process.pid}`;
  mkdirSync(making, { recursive: true });
  process.on("exit", () => rmSync(making, { recursive: true, force: true }));
  const signed = (name: string): void => {
    const sig = Buffer.from(signer.sign(readFileSync(join(making, name)))).toString("base64");
    writeFileSync(join(making, `${name}.sig`), `${sig}\n`);
  };
  for (const { name, sha256: wanted } of subjects) {
    copyFileSync(join(from, name), join(making, name), constants.COPYFILE_FICLONE);
    if (sha256(readFileSync(join(making, name))) !== wanted)
      fail(`Cannot release ${name}: it is not what its line in the list says.`, "bun run build");
    signed(name);
  }
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  const lockSha256 = sha256(readFileSync(join(ROOT, "bun.lock")));
  const statement = statementOf({ subjects, version, lockSha256, commit: commitOf(), bun: Bun.version });
  writeFileSync(join(making, "provenance.intoto.json"), envelopeOf(statement, signer));
  writeFileSync(join(making, "SHA256SUMS"), subjects.map((one) => `${one.sha256}  ${one.name}\n`).join(""));
  signed("SHA256SUMS");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: signer.x }, format: "jwk" });
  writeFileSync(join(making, "release.pub"), key.export({ type: "spki", format: "pem" }));
  // Whole or not at all.
  rmSync(out, { recursive: true, force: true });
  renameSync(making, out);
  process.stdout.write(`${subjects.length} files signed by ${signer.kid} in ${out}\n`);
}

const { values } = parseArgs({
  options: {
    keys: { type: "string" },
    kid: { type: "string" },
    signer: { type: "string" },
    "signer-key": { type: "string" },
    from: { type: "string", default: join(ROOT, "dist") },
    out: { type: "string", default: join(ROOT, "dist/release") },
  },
});
try {
  const { keys, kid, signer, "signer-key": signerKey } = values;
  const opened = openSigner({ keys, kid, signer, signerKey });
  if (opened === null)
    fail("Cannot release: no key is named.", "--keys FOLDER, or --signer COMMAND with --signer-key FILE.");
  release(values.from, values.out, opened);
} catch (error) {
  if (!(error instanceof Complaint)) throw error;
  fail(error.message, error.hint);
}

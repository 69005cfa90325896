import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ManifestFacts } from "../../policy/asked.ts";
import { CONTROL, running, type WorldOptions } from "./world.ts";

/** A vendor's release signer, and the owner's directory of manifests: what a stage of a cloud needs so that its group takes releases. */
export type Releases = {
  /** The rule that permits them, the policy's signers, the config's line. */
  readonly options: Pick<Required<WorldOptions>, "rules" | "signers" | "config">;
  /** Signs a manifest by which the group runs the image, and puts it where the agent reads it. Returns its digest. */
  of(image: string): Promise<string>;
  end(): void;
};

const SBOM = {
  bomFormat: "CycloneDX",
  specVersion: "1.5",
  components: [{ type: "library", name: "libc", version: "1", purl: "pkg:generic/libc@1" }],
};

const RULE = (group: string): string => `  - id: releases
    why: New releases of the vendor's.
    allow: deploy
    group: ${group}
    signers: { by: [release], need: 1 }
    version: { min: 1.0.0, max: 1.9.9 }
    unavailable: 1
    rate: 1000 per hour
    when: always
    approval: none`;

async function good(...args: string[]): Promise<string> {
  const done = await running(CONTROL, ...args);
  if (done.code !== 0) throw new Error(`${args.join(" ")} ended with ${done.code}: ${done.stderr}`);
  return done.stdout;
}

/** `place`: as a manifest names it; `group`: as the policy does; `count`: of its machines. */
export async function releases(place: ManifestFacts["place"], group: string, count: number): Promise<Releases> {
  const folder = mkdtempSync(join(tmpdir(), "reeve-releases-"));
  chmodSync(folder, 0o755);
  const at = (name: string): string => join(folder, name);
  mkdirSync(at("manifests"), { mode: 0o755 });
  const signer = ["--as", "vendor.example/release", "--keys", at("keys")];
  await good("keys", "init", "--keys", at("keys"));
  const verifier = (await good("manifest", "signer", ...signer)).trim();
  writeFileSync(at("sbom"), JSON.stringify(SBOM));
  return {
    options: {
      rules: RULE(group),
      signers: { release: verifier },
      config: `artifacts: { directory: ${at("manifests")}, uid: ${process.getuid?.() ?? 0} }\n`,
    },
    async of(image) {
      const parameters = [
        `cluster: prod-eu-1\nplace: ${JSON.stringify(place)}`,
        `images: { app: "${image}" }\ngroups: { "${group}": { image: app, count: ${count} } }`,
        "zones: []\nauthorities: []\nnames: []\n",
      ];
      writeFileSync(at("parameters"), parameters.join("\n"));
      const app = ["--image", `app=${at("sbom")}`, "--digest", `app=sha256:${"ab".repeat(32)}`, "--version", "1.2.3"];
      const out = ["--parameters", at("parameters"), "--says", "a release", "--out", at("manifest"), "--json"];
      const said = await good("manifest", "create", ...app, ...signer, ...out);
      const { digest } = JSON.parse(said) as { digest: string };
      const note = await Bun.file(at("manifest")).text();
      writeFileSync(at(`manifests/${digest.slice("sha256:".length)}.manifest`), note, { mode: 0o644 });
      return digest;
    },
    end: () => rmSync(folder, { recursive: true, force: true }),
  };
}

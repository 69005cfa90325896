import { generateKeyPairSync, sign } from "node:crypto";
import { type Manifest, manifestText, readManifest } from "../../agent/wire/manifest.ts";
import { signManifest } from "../manifest/file.ts";
import { NO_DIGEST } from "./book.ts";

/** A manifest of this cluster, signed by a key that nobody knows: a control plane hands out what was signed, and is no judge of it. */
export function manifestFor(cluster: string): { readonly hex: string; readonly note: string } {
  const manifest: Manifest = {
    type: "reeve-manifest",
    v: 1,
    says: "conform ü",
    content: { agent: null, version: "1.0.0", images: [{ name: "one", digest: NO_DIGEST, packages: [] }] },
    parameters: {
      cluster,
      place: { cloud: "local", account: "", region: "" },
      images: { one: "/images/one" },
      groups: { grows: { image: "one", count: 1 } },
      zones: [],
      authorities: [],
      names: [],
      policy: null,
    },
  };
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  const read = readManifest(manifestText(manifest));
  if ("fault" in read) throw new Error(`the manifest of a case is none: ${read.fault}`);
  const note = signManifest(manifest, "conform.example/release", { x, sign: (bytes) => sign(null, bytes, privateKey) });
  return { hex: read.digest.slice("sha256:".length), note };
}

import { z } from "zod";
import { parseNote, verifyNote } from "../../agent/audit/note.ts";
import { MAX_MANIFEST_BYTES, MAX_MANIFEST_DEPTH } from "../../agent/limits.ts";
import { canonical } from "../../agent/wire/canonical.ts";
import { type Manifest, readManifest } from "../../agent/wire/manifest.ts";
import { ResourceName } from "../../agent/wire/names.ts";
import { jsonOf } from "../json.ts";
import { signText } from "../manifest/file.ts";
import type { Signer } from "../signer.ts";
import { readStrict } from "../strictFile.ts";
import { Complaint } from "../terminal.ts";
import type { RolloutRow } from "./schema.ts";
import type { Images } from "./target.ts";

const Places = z.record(
  z.string().regex(/^[a-z0-9-]{1,64}\/[!-.0-~]{0,128}\/[!-.0-~]{0,64}$/, "a place: cloud/account/region"),
  z.record(z.string(), ResourceName),
);

/** Where images lie, by place, out of an operator's YAML. Throws a Complaint with the line. */
export function readImages(file: string): Images {
  return readStrict(file, Places, `read where images lie in ${file}`, "See docs/ROLLOUTS.md.");
}

/**
 * What a driver signs copies of lies in a store that `serve` writes too, which holds no key and may be taken over: so the manifest, and
 * where its images lie, are there under the release signer's own signature, and are held to it before anything is signed by them.
 */
export function signImages(images: Images, manifest: string, name: string, signer: Signer): string {
  return signText(
    `${canonical({ images, manifest, type: "reeve-rollout", v: 1 }, MAX_MANIFEST_DEPTH)}\n`,
    name,
    signer,
  );
}

/** The text under a release signer's own signature; null when it is not. */
export function textSignedBy(note: string, name: string, signer: Pick<Signer, "x">): string | null {
  const key = Buffer.from(signer.x, "base64url");
  return verifyNote(note, name, key, MAX_MANIFEST_BYTES) === null
    ? null
    : (parseNote(note, MAX_MANIFEST_BYTES)?.text ?? null);
}

/** Who signs a release: the key, and the name under which its signature holds. */
export type Releaser = { readonly name: string; readonly key: Pick<Signer, "x"> };

/** `signer`: the name under which its signatures hold. */
export type Order = {
  readonly manifest: Manifest;
  readonly digest: string;
  readonly images: Images;
  readonly signer: string;
};

/** What a rollout was started with. Throws a Complaint when this key did not sign it. */
export function orderOf(
  rollout: Pick<RolloutRow, "id" | "note" | "images" | "signer">,
  signer: Pick<Signer, "x">,
): Order {
  const refuse = (because: string): Complaint =>
    new Complaint(1, `drive rollout ${rollout.id}`, because, "Give the release key that it was started with.");
  const text = textSignedBy(rollout.note, rollout.signer, signer);
  const read =
    text === null ? { fault: `its manifest is not signed by ${rollout.signer} with this key` } : readManifest(text);
  if ("fault" in read) throw refuse(read.fault);
  const said = jsonOf(textSignedBy(rollout.images, rollout.signer, signer) ?? "");
  const images = z
    .strictObject({
      images: Places,
      manifest: z.literal(read.digest),
      type: z.literal("reeve-rollout"),
      v: z.literal(1),
    })
    .safeParse(said);
  if (!images.success) throw refuse(`where its images lie is not signed by ${rollout.signer} with this key`);
  return { manifest: read.manifest, digest: read.digest, images: images.data.images, signer: rollout.signer };
}

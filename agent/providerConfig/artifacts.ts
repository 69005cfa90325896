import { z } from "zod";
import { AbsolutePath } from "./fields.ts";

/** `uid`: who must own the folder and what lies in it, unless root does. With `control_plane` only programs are read there. */
const Directory = z.strictObject({
  directory: AbsolutePath,
  uid: z.number().int().min(0).default(0),
  control_plane: z.literal(true).optional(),
});

/**
 * Where the agent reads what a command names by its SHA-256: nowhere; a directory of the owner's, with `HEX.manifest` (a signed note) and,
 * for the local provider, `HEX` (a program); or the control plane, which has manifests alone; or those there, and programs here.
 */
export const ArtifactsConfig = z.union(
  [z.literal("none"), Directory, z.strictObject({ control_plane: z.literal(true) })],
  { error: "none, { directory: /PATH, uid: N }, { control_plane: true } or both in one" },
);
export type ArtifactsConfig = z.infer<typeof ArtifactsConfig>;
/** The directory, where there is one: of programs, and of manifests unless the control plane is asked for those. */
export type ArtifactsDirectory = { readonly directory: string; readonly uid: number };

export function artifactsDirectory(config: ArtifactsConfig): ArtifactsDirectory | null {
  return config !== "none" && "directory" in config ? config : null;
}

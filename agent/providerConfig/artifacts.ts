import { z } from "zod";
import { AbsolutePath } from "./fields.ts";

/** `uid`: who must own the folder and what lies in it, unless root does. */
const Directory = z.strictObject({ directory: AbsolutePath, uid: z.number().int().min(0).default(0) });

/**
 * Where the agent reads what a command names by its SHA-256: nowhere; a directory of the owner's, with `HEX.manifest` (a signed note) and,
 * for the local provider, `HEX` (a program); or the control plane, which has manifests alone.
 */
export const ArtifactsConfig = z.union(
  [z.literal("none"), Directory, z.strictObject({ control_plane: z.literal(true) })],
  { error: "none, { directory: /PATH, uid: N } or { control_plane: true }" },
);
export type ArtifactsConfig = z.infer<typeof ArtifactsConfig>;
/** The directory, where there is one. */
export type ArtifactsDirectory = { readonly directory: string; readonly uid: number };

export function artifactsDirectory(config: ArtifactsConfig): ArtifactsDirectory | null {
  return config !== "none" && "directory" in config ? config : null;
}

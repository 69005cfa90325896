import { z } from "zod";
import { CallFailed, type UnfitArtifact } from "../provider.ts";
import { endpointOf } from "./endpoints.ts";
import { imageKind } from "./imageName.ts";
import type { Rolling } from "./rolling.ts";

const Image = z.object({
  id: z.string(),
  location: z.string(),
  properties: z.object({ provisioningState: z.string().default("") }).default({ provisioningState: "" }),
});
/** Of the two resources that hold images, versions that have been there for years. */
const VERSIONS = { images: "2024-03-01", galleries: "2023-07-03" } as const;

/** Null: the image is there, and machines can be made from it. Throws CallFailed. */
export async function unfit({ calls, context, image }: Rolling): Promise<UnfitArtifact | null> {
  const kind = imageKind(image);
  if (kind === null)
    return {
      artifact: "malformed",
      because: `${image.slice(0, 256)} is not the id of an image`,
      hint: "Have the manifest's parameters name a managed image, or one version of a gallery's image, by its whole id.",
    };
  const missing = (because: string): UnfitArtifact => ({
    artifact: "missing",
    because,
    hint: "Have the image made or replicated to the config's location, readable for the agent's identity.",
  });
  const { host } = endpointOf(context.azure, "arm").url;
  try {
    const answer = await calls.send("status", (client) =>
      client.get(`https://${host}${image}?api-version=${VERSIONS[kind]}`),
    );
    const read = Image.safeParse(JSON.parse(answer.bodyAsText ?? "{}"));
    if (!read.success || read.data.id.toLowerCase() !== image)
      throw new CallFailed("malformed", "another image was described", "none");
    const { provisioningState: state } = read.data.properties;
    return state === "Succeeded" ? null : missing(`${image} is ${state}`);
  } catch (error) {
    if (error instanceof CallFailed && error.status === "missing") return missing(`there is no ${image}`);
    throw error;
  }
}

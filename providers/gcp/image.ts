import { z } from "zod";
import { CallFailed, type UnfitArtifact } from "../provider.ts";
import type { GcpCalls, GcpContext } from "./call.ts";
import { endpointOf } from "./endpoints.ts";
import { jsonCall } from "./jsonCall.ts";
import { imagePath } from "./template.ts";

const Image = z.object({ name: z.string(), selfLink: z.string(), status: z.string().default("") });

/** Whether it is an image's own name, `projects/P/global/images/NAME`, and no family's. */
export function isImage(image: string): boolean {
  return imagePath(image) === image;
}

/** Null: the image is there, and machines can be made from it. Throws CallFailed. */
export async function unfit({ gcp }: GcpContext, calls: GcpCalls, image: string): Promise<UnfitArtifact | null> {
  if (!isImage(image))
    return {
      artifact: "malformed",
      because: `${image} is not the name of an image`,
      hint: "Have the manifest's parameters name it whole: projects/PROJECT/global/images/NAME, and no family.",
    };
  const missing = (because: string): UnfitArtifact => ({
    artifact: "missing",
    because,
    hint: "Have the image made or shared, with compute.images.useReadOnly for the agent's account.",
  });
  try {
    const url = new URL(`/compute/v1/${image}`, endpointOf(gcp, "compute"));
    const found = await jsonCall({ calls, service: "compute", url, method: "GET" }, Image);
    if (!found.selfLink.endsWith(`/${image}`)) throw new CallFailed("malformed", "another image was described", "none");
    return found.status === "READY" ? null : missing(`${image} is ${found.status}`);
  } catch (error) {
    if (error instanceof CallFailed && error.status === "missing") return missing(`there is no ${image}`);
    throw error;
  }
}

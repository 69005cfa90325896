import { type Deploy, deployOf } from "../providers/deploying.ts";
import { providerFor } from "./account.ts";
import type { Structure } from "./world/codec.ts";
import type { World } from "./world/world.ts";

/** Images that moto knows: the one that the world's groups run, and two others. */
export async function withImage(world: World): Promise<{ before: string; image: string; third: string }> {
  const found = await world.admin.call("ec2", "DescribeImages", { Owners: ["amazon"] });
  const ids = ((found["Images"] ?? []) as readonly Structure[]).map((one) => String(one["ImageId"])).sort();
  const before = "ami-12c6146b";
  const [image, third] = ids.filter((id) => id !== before && /^ami-[0-9a-f]{8,17}$/.test(id));
  if (image === undefined || third === undefined) throw new Error("moto has no three images");
  return { before, image, third };
}

export async function imageCommand(world: World, image: string, group = world.group.name): Promise<Deploy> {
  return deployOf(await providerFor(world), group, image);
}

import { AwsConfig } from "../../agent/providerConfig/aws.ts";
import { awsProvider } from "../../providers/aws/aws.ts";
import { SETTING } from "./fixture.ts";
import type { World } from "./world/world.ts";

/** The provider as the agent makes it, for an account of the world; its waits pass a hundred times faster. */
export function providerFor(world: World) {
  const { account, role, region, endpoints } = world;
  const aws = AwsConfig.parse({ account, role, region, partition: "aws", endpoints: { ...endpoints } });
  return awsProvider(SETTING, aws);
}

/** The calls that came of one operation, oldest first. */
export function came(world: World, operation: string) {
  return world.calls.filter((made) => made.operation === operation);
}

import { providerLines, rulesFor } from "../aws/stage.ts";
import { type Moto, startMoto } from "../aws/world/moto.ts";
import { type World as Cloud, startWorld } from "../aws/world/world.ts";
import { type World as Vendor, type WorldOptions, world } from "../e2e/world.ts";
import { type Front, startFront } from "./sts.ts";

/** An AWS account whose STS a control plane asks over TLS. */
export type AwsSide = {
  readonly moto: Moto;
  readonly cloud: Cloud;
  readonly front: Front;
  stop(): Promise<void>;
};
export async function awsSide(): Promise<AwsSide> {
  const moto = await startMoto();
  const cloud = await startWorld(moto);
  const front = await startFront(cloud.endpoints.sts);
  return {
    moto,
    cloud,
    front,
    async stop() {
      await front.stop();
      await cloud.stop();
      await moto.stop();
    },
  };
}

/** The compiled control plane beside it, and a customer's machine in that account. */
export function vendorOf({ cloud, front }: AwsSide, options: WorldOptions = {}): Promise<Vendor> {
  return world({
    rules: rulesFor(cloud),
    place: `{ cloud: aws, account: "${cloud.account}", region: ${cloud.region} }`,
    provider: providerLines(cloud),
    serveFlags: ["--proofs", front.file],
    ...options,
  });
}

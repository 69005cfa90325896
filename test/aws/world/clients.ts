/** AWS's own clients on the world, without a line of reeve's: what holds for them was not made to suit our provider. */
import { afterAll, afterEach, beforeAll, expect } from "bun:test";
import { ACMPCAClient } from "@aws-sdk/client-acm-pca";
import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { Route53Client } from "@aws-sdk/client-route-53";
import { STSClient } from "@aws-sdk/client-sts";
import { GLOBAL_REGION } from "./admin.ts";
import { type Moto, startMoto } from "./moto.ts";
import type { Secret } from "./signature.ts";
import { startWorld, type World, type WorldOptions } from "./world.ts";

const START_MILLISECONDS = 600_000;

export function clientsOf(world: World, secret: Secret, region = world.region) {
  const common = {
    region,
    maxAttempts: 1,
    credentials: {
      accessKeyId: secret.accessKey,
      secretAccessKey: secret.secretKey,
      ...(secret.token === null ? {} : { sessionToken: secret.token }),
    },
  };
  const { endpoints } = world;
  return {
    scaling: new AutoScalingClient({ ...common, endpoint: endpoints.autoscaling }),
    pca: new ACMPCAClient({ ...common, endpoint: endpoints["acm-pca"] }),
    // A private endpoint takes away the client's own knowledge that Route 53 is signed for one region.
    dns: new Route53Client({ ...common, region: GLOBAL_REGION, endpoint: endpoints.route53 }),
    sts: new STSClient({ ...common, endpoint: endpoints.sts }),
  };
}

/** One moto for a test file; worlds are made on it one at a time, and each ends without a problem of its own. */
export function worlds(): { make(options?: WorldOptions): Promise<World>; moto(): Moto } {
  let moto: Moto | null = null;
  let made: World[] = [];
  const started = (): Moto => {
    if (moto === null) throw new Error("moto was not started");
    return moto;
  };
  beforeAll(async () => {
    moto = await startMoto();
  }, START_MILLISECONDS);
  afterEach(async () => {
    const ended = made;
    made = [];
    for (const world of ended) await world.stop();
    expect(ended.flatMap(({ problems }) => problems)).toEqual([]);
  });
  afterAll(() => moto?.stop());
  return {
    moto: started,
    async make(options = {}) {
      const world = await startWorld(started(), options);
      made.push(world);
      return world;
    },
  };
}

/** What a call was refused with; throws when it was not. */
export async function refusal(
  promise: Promise<unknown>,
): Promise<{ name: string; status: number; request: string | undefined; message: string }> {
  const error = await promise.then(
    () => null,
    (caught: unknown) => caught,
  );
  if (!(error instanceof Error)) throw new Error("it was not refused");
  const metadata = (error as { $metadata?: { httpStatusCode?: number; requestId?: string } }).$metadata;
  return {
    name: error.name,
    status: metadata?.httpStatusCode ?? 0,
    request: metadata?.requestId,
    message: error.message,
  };
}

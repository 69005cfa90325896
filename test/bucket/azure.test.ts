import { expect, test } from "bun:test";
import { dialer } from "../../agent/host/dial.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { realHost } from "../../agent/host/real.ts";
import { azureBucket } from "../../providers/azure/bucket.ts";
import type { Bucket } from "../../providers/bucket.ts";
import { ACCOUNT, type Azurite, startAzurite } from "./azurite.ts";
import { failed, holds, ON, type OwnedStore, SIGNAL } from "./suite.ts";

let azurite: Azurite;

function bucketIn(container: string, token: string, forgotten: () => void = () => undefined): Bucket {
  const config = { bucket: `azblob://${ACCOUNT}/${container}/prod-eu-1`, endpoint: azurite.endpoint };
  const setting = { host: realHost(), version: "9.9.9", dial: dialer(DIRECT), owner: config };
  return azureBucket(setting, "core.windows.net", config, { current: async () => token, forget: forgotten });
}

async function start(): Promise<OwnedStore> {
  azurite = await startAzurite();
  expect((await azurite.owner("PUT", "owners?restype=container")).status).toBe(201);
  const at = (name: string): string => `owners/prod-eu-1/${name}`;
  return {
    bucket: bucketIn("owners", "good"),
    async put(name, text) {
      const put = await azurite.owner("PUT", at(name), { "x-ms-blob-type": "BlockBlob" }, text);
      expect(put.status).toBe(201);
    },
    async remove(name) {
      expect((await azurite.owner("DELETE", at(name))).status).toBe(202);
    },
    async content(name) {
      const { status, text } = await azurite.owner("GET", at(name));
      return status === 200 ? text : null;
    },
    stop: () => azurite.stop(),
  };
}

holds("Azurite, Microsoft's own emulator", start, () => {
  test("a token that is not taken, and a container that is none, are said as such", async () => {
    let forgotten = 0;
    const stranger = bucketIn("owners", "another", () => {
      forgotten += 1;
    });
    expect((await failed(stranger.get(ON, 100, SIGNAL))).what).toBe("unreachable");
    expect(forgotten).toBe(1);
    const none = await failed(bucketIn("nowhere", "good").get(ON, 100, SIGNAL));
    expect([none.what, none.because]).toEqual(["refused", "Blob Storage answered 404 ContainerNotFound"]);
  });
});

import { expect, test } from "bun:test";
import { createServer } from "node:http";
import { dialer } from "../../agent/host/dial.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { realHost } from "../../agent/host/real.ts";
import type { S3BucketConfig } from "../../agent/providerConfig/owner.ts";
import { s3Bucket } from "../../providers/aws/bucket.ts";
import { type Bucket, bucketName } from "../../providers/bucket.ts";
import { CallFailed } from "../../providers/provider.ts";
import { BUCKET, type Key, motoS3, PREFIX, type S3Server, versityS3 } from "./servers.ts";
import { failed, holds, ON, type OwnedStore, SIGNAL } from "./suite.ts";

function bucketAt(endpoint: string, region: string, key: Key, forgotten: () => void = () => undefined): Bucket {
  const config: S3BucketConfig = { bucket: `s3://${BUCKET}/${PREFIX}`, region, endpoint };
  const setting = { host: realHost(), version: "9.9.9", dial: dialer(DIRECT), owner: config };
  const { sessionToken, ...pair } = key;
  const credentials = (sessionToken === "" ? pair : key) as Key;
  return s3Bucket(setting, { partition: "aws" }, config, { current: async () => credentials, forget: forgotten });
}

function owned(server: S3Server): OwnedStore & { readonly server: S3Server } {
  return {
    server,
    bucket: bucketAt(server.endpoint, server.region, server.key),
    put: server.put,
    remove: server.remove,
    async content(name) {
      const { answer } = await server.owner("s3", "get_object", { Bucket: BUCKET, Key: `${PREFIX}/${name}` });
      return answer === undefined ? null : String(answer["Body"]);
    },
    stop: server.stop,
  };
}

for (const [name, start] of [
  ["moto", motoS3],
  ["the Versity S3 gateway", versityS3],
] as const) {
  let server: S3Server;
  const starting = async (): Promise<OwnedStore> => {
    server = await start();
    return owned(server);
  };
  holds(name, starting, (store) => {
    test("under Object Lock not even the owner takes a version of a segment away", async () => {
      const key = { Bucket: BUCKET, Key: `${PREFIX}/log/1/00000000000000000009.jsonl` };
      const segment = bucketName("log/1/00000000000000000009.jsonl", "add");
      await store().bucket.add(segment, Buffer.from("x\n"), SIGNAL);
      await store().bucket.add(segment, Buffer.from("x\n"), SIGNAL);
      const { answer: versions } = await server.owner("s3", "list_object_versions", {
        Bucket: BUCKET,
        Prefix: key.Key,
      });
      expect((versions?.["Versions"] as unknown[] | undefined)?.length).toBe(1);
      const { answer } = await server.owner("s3", "get_object", key);
      const VersionId = String(answer?.["VersionId"]);
      expect(await server.owner("s3", "delete_object", { ...key, VersionId })).toHaveProperty("refused");
      expect((await server.owner("s3", "get_object", { ...key, VersionId })).answer?.["Body"]).toBe("x\n");
    });

    test("the agent's key changes nothing of the owner's", async () => {
      await store().put("owner/policy.yaml", "version: 1\n");
      // bucketName refuses such a name: this is what the store itself says. moto judges actions alone.
      const named = "owner/policy.yaml" as typeof ON;
      if (server.name !== "moto")
        expect((await failed(store().bucket.add(named, Buffer.from("mine\n"), SIGNAL))).what).toBe("denied");
      expect(await store().content("owner/policy.yaml")).toBe("version: 1\n");
    });

    test("credentials that are none are said as such, and are not used again", async () => {
      let forgotten = 0;
      const wrong = { ...server.key, accessKeyId: "AKIAIOSFODNN7EXAMPLE", sessionToken: "" };
      const stranger = bucketAt(server.endpoint, server.region, wrong, () => {
        forgotten += 1;
      });
      const refused = await failed(stranger.get(ON, 100, SIGNAL));
      expect([refused.what, forgotten]).toEqual(refused.what === "denied" ? ["denied", 0] : ["unreachable", 1]);
      const secret = bucketAt(server.endpoint, server.region, { ...server.key, secretAccessKey: "another" });
      expect((await failed(secret.get(ON, 100, SIGNAL))).what).toBe("denied");
    });
  });
}

test("as S3 says it without the right to list: a missing object is answered with 403, and counts as denied, never as something", async () => {
  let asked = "";
  const server = createServer((request, response) => {
    asked = `${request.method} ${request.url} ${request.headers["user-agent"]}`;
    response.writeHead(403, { "content-type": "application/xml" });
    response.end('<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const key = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "x", sessionToken: "t" };
  const error = await failed(bucketAt(`http://127.0.0.1:${port}`, "eu-west-1", key).get(ON, 100, SIGNAL));
  expect(error).toMatchObject({ what: "denied" });
  expect(error.because).toContain("403 AccessDenied");
  expect(asked).toBe(`GET /${BUCKET}/${PREFIX}/owner/on reeve/9.9.9`);
  server.close();
  const gone = await failed(bucketAt(`http://127.0.0.1:${port}`, "eu-west-1", key).get(ON, 100, SIGNAL));
  expect(gone).toMatchObject({ what: "unreachable", because: "no answer (connection-refused)" });
});

test("without credentials of the role nothing is asked", async () => {
  const config: S3BucketConfig = {
    bucket: `s3://${BUCKET}/${PREFIX}`,
    region: "eu-west-1",
    endpoint: "http://127.0.0.1:1",
  };
  const setting = { host: realHost(), version: "9.9.9", dial: dialer(DIRECT), owner: config };
  const none = {
    current: () => Promise.reject(new CallFailed("no-role", "", "none")),
    forget: () => undefined,
  };
  const bucket = s3Bucket(setting, { partition: "aws" }, config, none);
  expect((await failed(bucket.get(ON, 100, SIGNAL))).because).toBe("no credentials of the role (no-role)");
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer } from "node:http";
import { dialer } from "../../agent/host/dial.ts";
import { DIRECT } from "../../agent/host/proxy.ts";
import { realHost } from "../../agent/host/real.ts";
import type { S3BucketConfig } from "../../agent/providerConfig/owner.ts";
import { s3Bucket } from "../../providers/aws/bucket.ts";
import { type Bucket, BucketFailed, bucketName } from "../../providers/bucket.ts";
import { CallFailed } from "../../providers/provider.ts";
import { BUCKET, type Key, motoS3, PREFIX, type S3Server, versityS3 } from "./servers.ts";

const SIGNAL = new AbortController().signal;
const HEAD = bucketName("log/head", "read");
const ON = bucketName("owner/on", "read");
const SEGMENT = bucketName("log/1/00000000000000000000.jsonl", "add");

function bucketAt(endpoint: string, region: string, key: Key, forgotten: () => void = () => undefined): Bucket {
  const config: S3BucketConfig = { bucket: `s3://${BUCKET}/${PREFIX}`, region, endpoint };
  const setting = { host: realHost(), version: "9.9.9", dial: dialer(DIRECT), owner: config };
  const { sessionToken, ...pair } = key;
  const credentials = (sessionToken === "" ? pair : key) as Key;
  return s3Bucket(setting, { partition: "aws" }, config, { current: async () => credentials, forget: forgotten });
}

async function failed(promise: Promise<unknown>): Promise<BucketFailed> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BucketFailed)) throw new Error(`not refused: ${error}`);
  return error;
}

function text(found: Awaited<ReturnType<Bucket["get"]>>): string {
  if (found === "absent") throw new Error("absent");
  return new TextDecoder().decode(found.bytes);
}

for (const [name, start] of [
  ["moto", motoS3],
  ["the Versity S3 gateway", versityS3],
] as const) {
  describe(name, () => {
    let server: S3Server;
    let bucket: Bucket;
    beforeAll(async () => {
      server = await start();
      bucket = bucketAt(server.endpoint, server.region, server.key);
    }, 600_000);
    afterAll(() => server?.stop());

    test("what the owner put is read, and what was put anew is another one, also with the same bytes", async () => {
      await server.put("owner/on", "on\n");
      const first = await bucket.get(ON, 100, SIGNAL);
      expect(text(first)).toBe("on\n");
      await server.remove("owner/on");
      expect(await bucket.get(ON, 100, SIGNAL)).toBe("absent");
      await server.put("owner/on", "on\n");
      const second = await bucket.get(ON, 100, SIGNAL);
      expect(first !== "absent" && second !== "absent" && first.mark !== second.mark).toBe(true);
      expect((await failed(bucket.get(ON, 2, SIGNAL))).what).toBe("too-large");
    });

    test("a segment is added once: again with the same bytes is good, with others it is refused and nothing is lost", async () => {
      await bucket.add(SEGMENT, Buffer.from("one\n"), SIGNAL);
      await bucket.add(SEGMENT, Buffer.from("one\n"), SIGNAL);
      expect((await failed(bucket.add(SEGMENT, Buffer.from("two\n"), SIGNAL))).what).toBe("there");
      const key = { Bucket: BUCKET, Key: `${PREFIX}/${SEGMENT}` };
      const { answer } = await server.owner("s3", "get_object", key);
      expect(answer?.["Body"]).toBe("one\n");
      const { answer: versions } = await server.owner("s3", "list_object_versions", {
        Bucket: BUCKET,
        Prefix: key.Key,
      });
      expect((versions?.["Versions"] as unknown[] | undefined)?.length).toBe(1);
    });

    test("under Object Lock not even the owner takes a version of a segment away", async () => {
      const key = { Bucket: BUCKET, Key: `${PREFIX}/log/1/00000000000000000009.jsonl` };
      await bucket.add(bucketName("log/1/00000000000000000009.jsonl", "add"), Buffer.from("x\n"), SIGNAL);
      const { answer } = await server.owner("s3", "get_object", key);
      const VersionId = String(answer?.["VersionId"]);
      expect(await server.owner("s3", "delete_object", { ...key, VersionId })).toHaveProperty("refused");
      expect((await server.owner("s3", "get_object", { ...key, VersionId })).answer?.["Body"]).toBe("x\n");
    });

    test("of two agents that put the head, the one that did not see the other's is refused", async () => {
      const first = await bucket.putHead(Buffer.from("one"), null, SIGNAL);
      expect((await failed(bucket.putHead(Buffer.from("theirs"), null, SIGNAL))).what).toBe("there");
      const second = await bucket.putHead(Buffer.from("two"), first, SIGNAL);
      expect((await failed(bucket.putHead(Buffer.from("theirs"), first, SIGNAL))).what).toBe("there");
      expect(text(await bucket.get(HEAD, 100, SIGNAL))).toBe("two");
      // Put, and the answer not heard: said again it is the one that lies there.
      expect(await bucket.putHead(Buffer.from("two"), first, SIGNAL)).toBe(second);
    });

    test("the agent's key changes nothing of the owner's, lists nothing and takes nothing away", async () => {
      await server.put("owner/policy.yaml", "version: 1\n");
      // bucketName would refuse: this is what S3 itself says.
      const named = (name: string) => name as typeof SEGMENT;
      if (server.name !== "moto")
        expect((await failed(bucket.add(named("owner/policy.yaml"), Buffer.from("mine\n"), SIGNAL))).what).toBe(
          "denied",
        );
      const { answer } = await server.owner("s3", "get_object", { Bucket: BUCKET, Key: `${PREFIX}/owner/policy.yaml` });
      expect(answer?.["Body"]).toBe("version: 1\n");
    });

    test("credentials that are none, and a bucket that is none, are said as such", async () => {
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

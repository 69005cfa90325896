/** What a deploy makes of a managed instance group, zonal and regional, held against the world that stands for Google Cloud. */
import { afterEach, describe, expect, test } from "bun:test";
import { readRequest } from "../../providers/gcp/request.ts";
import { stepId } from "../../providers/gcp/tokens.ts";
import { Halted } from "../../providers/provider.ts";
import { deployOf, described, errandOf, recalled, resumed, rolled, see } from "../providers/deploying.ts";
import { came, groupOf, providerFor } from "./account.ts";
import { startWorld, type World, type WorldOptions } from "./world/world.ts";

const open: World[] = [];
afterEach(async () => {
  for (const world of open.splice(0)) {
    await world.stop();
    expect(world.problems).toEqual([]);
  }
});
async function begin(options: WorldOptions = {}) {
  const world = await startWorld({ size: 4, ...options });
  open.push(world);
  const image = (n: number): string => `projects/${world.project}/global/images/broker-${n}`;
  const command = async (to = image(2), times = 100) => deployOf(await providerFor(world, times), groupOf(world), to);
  return { world, image, command, now: () => world.groups.deployed(world.group) };
}
const INSERT = "compute.instanceTemplates.insert";
const PATCH = "compute.instanceGroupManagers.patch";
const changes = (world: World): readonly string[] =>
  world.calls.filter(({ changed }) => changed).map(({ operation }) => operation);
const STATE = (image: string | null) => ({ image, count: 4, healthy: 4 });

describe("a deploy", () => {
  test.each([
    ["of a zone", false, 1, 3],
    ["of a region", true, 3, 1],
  ] as const)("of a group %s takes each machine to the image", async (_, regional, unavailable, fewest) => {
    const { world, image, command, now } = await begin({ regional });
    Object.assign(world.scaling, { launchMilliseconds: 30, operationMilliseconds: 20 });
    const policy = now().policy;
    const done = await rolled(await command(), unavailable);
    expect(done).toMatchObject({ result: "succeeded", code: null });
    expect(done.changed).toEqual([{ what: `${groupOf(world)} image`, from: image(1), to: image(2) }]);
    expect(now()).toMatchObject({ images: [image(2), image(2), image(2), image(2)], fewest });
    // Nothing but the boot disk's image is another, and the group is updated as it was before.
    expect(now().policy["type"]).toBe(policy["type"] ?? "");
    const [first, own] = [world.groups.rolls.first, now().template].map((path) => world.groups.rolls.template(path));
    const [before, after] = [first, own].map((one) => JSON.stringify(one?.["properties"]));
    const expected = (before ?? "").replace(`https://www.googleapis.com/compute/v1/${image(1)}`, image(2));
    expect(JSON.parse(after ?? "")).toEqual(JSON.parse(expected));
    expect(changes(world)).toEqual(
      [INSERT, PATCH, PATCH].map((name) => (regional ? name.replace(".instanceGroup", ".regionInstanceGroup") : name)),
    );
  });

  test("of a group that is there already changes nothing", async () => {
    const { world, image, command } = await begin();
    expect(await rolled(await command(image(1)), 1)).toMatchObject({ result: "succeeded", changed: [] });
    expect(changes(world)).toEqual([]);
  });

  test("whose calls are answered and not heard makes one template and one update", async () => {
    const { world, command, now, image } = await begin();
    world.fault(INSERT, { kind: "drop", when: "after" }, { times: 4 });
    world.fault(PATCH, { kind: "drop", when: "after" }, { times: 4 });
    world.fault("compute.instanceGroupManagers.get", { kind: "page", status: 503, when: "before" }, { skip: 3 });
    expect(await rolled(await command(), 2)).toMatchObject({ result: "succeeded", code: null });
    expect(new Set(now().images)).toEqual(new Set([image(2)]));
    expect(changes(world)).toEqual([INSERT, PATCH, PATCH]);
  });

  test("that Google turns away has changed nothing", async () => {
    const { world, command, now, image } = await begin();
    world.fault(PATCH, { kind: "error", code: "forbidden", status: 403, when: "before" });
    expect(await rolled(await command(), 1)).toMatchObject({ result: "failed", changed: [] });
    expect(new Set(now().images)).toEqual(new Set([image(1)]));
  });

  test("on which machines do not get well goes back", async () => {
    const { world, command, now, image } = await begin();
    world.scaling.unwell.add(image(2));
    world.scaling.failing = true;
    const done = await rolled(await command(image(2), 1000), 2);
    expect(done).toMatchObject({ result: "failed", code: "rolled-back", changed: [] });
    expect(done.words).toContain("ZONE_RESOURCE_POOL_EXHAUSTED");
    expect(now()).toMatchObject({ images: [image(1), image(1), image(1), image(1)], fewest: 2 });
    expect(now().template).toBe(world.groups.rolls.first);
    expect(now().policy["type"]).toBe("OPPORTUNISTIC");
  });

  test("that cannot go back says so", async () => {
    const { world, command, now, image } = await begin();
    world.scaling.unwell.add(image(2));
    world.fault(PATCH, { kind: "error", code: "forbidden", status: 403, when: "before" }, { skip: 1 });
    expect(await rolled(await command(image(2), 1000), 1)).toMatchObject({ result: "failed", code: "rollback-failed" });
    expect(now().images).toContain(image(2));
  });
});

describe("somebody else", () => {
  test("who is updating the group is not disturbed", async () => {
    const { world, image, command } = await begin();
    world.scaling.settleMilliseconds = 600_000;
    const found = STATE(image(1));
    world.groups.of(world.group).settles = Number.POSITIVE_INFINITY;
    expect(await rolled(await command(), 1, { found })).toMatchObject({ result: "failed", code: "busy" });
    expect(changes(world)).toEqual([]);
  });

  test("who changed the image since it was judged is heard", async () => {
    const { world, image, command } = await begin();
    const done = await rolled(await command(), 1, { found: STATE(image(3)) });
    expect(done).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
    expect(changes(world)).toEqual([]);
  });

  test("who changes the group between the look and the patch is not overwritten", async () => {
    const { world, command, now, image } = await begin();
    world.at(PATCH, "before", async () => world.groups.relaunch(world.group, world.groups.rolls.first));
    expect(await rolled(await command(), 1)).toMatchObject({ result: "failed", code: "concurrent" });
    expect(new Set(now().images)).toEqual(new Set([image(1)]));
  });

  test("who gives it another template meanwhile has the last word", async () => {
    const { world, command, now } = await begin();
    world.scaling.launchMilliseconds = 600_000;
    world.at(PATCH, "after", async () => world.groups.relaunch(world.group, world.groups.rolls.first));
    expect(await rolled(await command(), 1)).toMatchObject({ result: "failed", code: "concurrent" });
    expect(now().template).toBe(world.groups.rolls.first);
  });
});

test("the switch off while it only watches: Google goes on, what came of it is said, and the update policy stays", async () => {
  const { world, image, command, now } = await begin();
  let begun = false;
  world.at(PATCH, "after", async () => {
    begun = true;
  });
  const beforeChange = (): void => {
    if (begun) throw new Halted("suspended");
  };
  const done = await rolled(await command(), 1, { wish: { beforeChange } });
  expect(done.result).toBe("succeeded");
  expect(done.changed.map(({ what }) => what)).toEqual([`${groupOf(world)} image`, `${groupOf(world)} update policy`]);
  expect(now().images).toEqual(Array(4).fill(image(2)));
  expect(changes(world)).toEqual([INSERT, PATCH]);
});

describe("after a crash", () => {
  test("a deploy that had begun goes on: no template and no update is made twice", async () => {
    const { world, image, command } = await begin();
    world.scaling.launchMilliseconds = 100;
    const [one, stop] = [await command(), new AbortController()];
    const found = await see(one);
    const own = errandOf(1, stop.signal);
    world.at(PATCH, "after", async () => stop.abort());
    expect(await rolled(one, 1, { found, own })).toMatchObject({ result: "failed", code: "deadline" });
    const again = { ...own, signal: new AbortController().signal };
    const done = await resumed(one, found, again);
    expect(done).toMatchObject({ result: "succeeded" });
    expect(done.changed).toEqual([{ what: `${groupOf(world)} image`, from: image(1), to: image(2) }]);
    expect(await recalled(one, found, again)).toMatchObject({ result: "succeeded", known_by: "token" });
    expect(changes(world)).toEqual([INSERT, PATCH, PATCH]);
  });

  test("between the template and the update, nothing has happened; resumed, the same template is used", async () => {
    const { world, image, command } = await begin();
    const one = await command();
    const found = await see(one);
    const own = errandOf(1);
    world.fault(PATCH, { kind: "page", status: 503, when: "before" }, { times: 4 });
    expect(await rolled(one, 1, { found, own })).toMatchObject({ result: "unknown" });
    const recall = await recalled(one, found, own);
    expect(recall).toMatchObject({ result: "failed", code: "interrupted", known_by: "state", changed: [] });
    expect(await resumed(one, found, own)).toMatchObject({ result: "succeeded" });
    expect(came(world, INSERT)).toHaveLength(1);
    expect(new Set(world.groups.deployed(world.group).images)).toEqual(new Set([image(2)]));
  });
});

describe("a template that somebody else made and named as the command's", () => {
  test.each([
    ["another image", 3, {}],
    ["the judged image and another service account", 2, { serviceAccounts: [] }],
  ] as const)("with %s is not launched from", async (_, n, more) => {
    const { world, image, command } = await begin();
    const [one, own, found] = [await command(), errandOf(1), STATE(image(1))];
    const { first, template, insert } = world.groups.rolls;
    const text = JSON.stringify(template(first)["properties"]).replace("images/broker-1", `images/broker-${n}`);
    const path = first.replace("brokers-template", `reeve-${own.id}`);
    const description = JSON.stringify({ reeve: own.id, from: first, policy: {} });
    insert(path, { description, properties: { ...JSON.parse(text), ...more } });
    expect(await resumed(one, found, own)).toMatchObject({ result: "failed", code: "template-other", changed: [] });
    expect(changes(world)).toEqual([]);
    // It keeps no intent from being closed.
    expect(await recalled(one, found, own)).toMatchObject({ result: "failed", code: "interrupted" });
  });
});

describe("on its way back", () => {
  test("a deploy that is stopped is left open, and resumed it goes on going back", async () => {
    const { world, image, command, now } = await begin();
    world.scaling.unwell.add(image(2));
    const [one, stop] = [await command(image(2), 1000), new AbortController()];
    const found = await see(one);
    const own = errandOf(1, stop.signal);
    world.at(PATCH, "after", async () => world.at(PATCH, "after", async () => stop.abort()));
    world.scaling.launchMilliseconds = 200;
    expect(await rolled(one, 1, { found, own })).toMatchObject({ result: "failed", code: "deadline" });
    const again = { ...own, signal: new AbortController().signal };
    expect(await resumed(one, found, again)).toMatchObject({ result: "failed", code: "rolled-back", changed: [] });
    expect(now()).toMatchObject({ images: Array(4).fill(image(1)), template: world.groups.rolls.first });
    expect(now().policy["type"]).toBe("OPPORTUNISTIC");
    // And once more, when all is back: it is not begun anew.
    expect(await resumed(one, found, again)).toMatchObject({ result: "failed", code: "rolled-back" });
    expect(changes(world)).toEqual([INSERT, PATCH, PATCH, PATCH]);
  });
});

describe("what is refused when it is read", () => {
  test("an image that is not there, is not ready, or is a family's", async () => {
    const { world, image, command } = await begin();
    expect(await described(await command(image(9)))).toMatchObject({ artifact: "missing" });
    world.groups.rolls.images.set(image(2), "PENDING");
    expect(await described(await command())).toMatchObject({ artifact: "missing" });
    const family = `projects/${world.project}/global/images/family/broker`;
    expect(await described(await command(family))).toMatchObject({ artifact: "malformed" });
  });

  test.each(["..", ".", "..."])(
    "an image of the project %s: its path would be another, and stop the agent",
    async (dots) => {
      const { world, command } = await begin();
      expect(await described(await command(`projects/${dots}/global/images/x`))).toMatchObject({
        artifact: "malformed",
      });
      expect(world.calls.filter(({ operation }) => operation.includes("images"))).toEqual([]);
    },
  );

  test("a machine that was made from a template of another project or region", async () => {
    for (const where of ["projects/other-project/global", "projects/../global", "regions/asia-east1"]) {
      const { world, command } = await begin();
      const [machine] = world.groups.of(world.group).machines;
      if (machine === undefined) throw new Error("a group without machines");
      const folder = where.startsWith("regions") ? `projects/${world.project}/${where}` : where;
      world.groups.rolls.insert(`${folder}/instanceTemplates/theirs`, {});
      Object.assign(machine, { template: `${folder}/instanceTemplates/theirs` });
      if (where.includes("..")) expect((await see(await command())).image).toBeNull();
      else await expect(see(await command())).rejects.toMatchObject({ status: "template-elsewhere" });
    }
  });

  test("fewer machines at once than a region's zones, a stateful group, and the agent's own", async () => {
    const { world, command } = await begin({ regional: true });
    expect(await rolled(await command(), 2)).toMatchObject({ result: "failed", code: "unavailable-below-zones" });
    expect(changes(world)).toEqual([]);
    world.groups.of(world.group).stateful = true;
    await expect(see(await command())).rejects.toMatchObject({ status: "group-stateful" });
    const own = await begin();
    const [name = ""] = own.world.groups.names(own.world.group);
    Object.assign(own.world.metadata.instance, { name });
    await expect(see(await own.command())).rejects.toMatchObject({ status: "own-group" });
  });
});

test("the gate lets a copy differ in its image alone, and a group go to that copy", () => {
  const [command, image] = ["0193a0b1-7c00-7000-8000-000000000001", "projects/p/global/images/new"];
  const template = `projects/p/global/instanceTemplates/reeve-${command}`;
  const properties = (source: string, more: object = {}) => ({
    disks: [{ boot: true, initializeParams: { sourceImage: source } }],
    ...more,
  });
  const known = new Set([template, 'properties:{"disks":[{"boot":true,"initializeParams":{"sourceImage":""}}]}']);
  const about = {
    gcp: { project: "p", region: "europe-west1" },
    command,
    resource: "europe-west1-b/g",
    known,
    image,
    count: null,
  };
  const read = (method: string, path: string, body: object, token: string) => {
    const url = new URL(`https://compute.googleapis.com/compute/v1/${path}?requestId=${token}`);
    return readRequest({ service: "compute", method, url, body: Buffer.from(JSON.stringify(body)) }, about).resource;
  };
  const [folder, group] = [
    "projects/p/global/instanceTemplates",
    "projects/p/zones/europe-west1-b/instanceGroupManagers/g",
  ];
  const copy = { name: `reeve-${command}`, description: "", properties: properties(image) };
  const patch = { fingerprint: "x", versions: [{ instanceTemplate: `https://x/${template}` }], updatePolicy: {} };
  expect(read("POST", folder, copy, stepId(command, "template"))).toBe("europe-west1-b/g");
  expect(read("PATCH", group, patch, stepId(command, "there"))).toBe("europe-west1-b/g");
  const others: readonly [string, string, object, string][] = [
    ["POST", folder, { ...copy, name: "other" }, stepId(command, "template")],
    ["POST", folder, { ...copy, properties: properties("projects/p/global/images/evil") }, stepId(command, "template")],
    ["POST", folder, { ...copy, properties: properties(image, { metadata: {} }) }, stepId(command, "template")],
    ["POST", folder, { ...copy, sourceInstance: "x" }, stepId(command, "template")],
    ["POST", folder, copy, command],
    ["PATCH", group, { ...patch, targetSize: 9 }, stepId(command, "there")],
    [
      "PATCH",
      group,
      { ...patch, versions: [{ instanceTemplate: "projects/p/global/instanceTemplates/x" }] },
      stepId(command, "there"),
    ],
    ["PATCH", group, { ...patch, versions: [...patch.versions, ...patch.versions] }, stepId(command, "there")],
    ["PATCH", group, patch, command],
  ];
  for (const [method, path, body, token] of others)
    expect([body, read(method, path, body, token)]).not.toEqual([body, "europe-west1-b/g"]);
});

/** What a deploy makes of a scale set, held against the world that stands for Azure. */
import { afterEach, describe, expect, test } from "bun:test";
import { type About, namedBy } from "../../providers/azure/about.ts";
import { imageText, referenceOf } from "../../providers/azure/imageName.ts";
import { deployOf, described, errandOf, recalled, resumed, rolled, see } from "../providers/deploying.ts";
import { came, configFor, patientHost } from "./account.ts";
import { begin as beginWorld, endAll } from "./fixture.ts";
import { GROUP, SUBSCRIPTION, type World } from "./world/world.ts";

afterEach(endAll);
async function begin(setting: Parameters<typeof beginWorld>[2] = {}) {
  const { world, provider } = await beginWorld({ capacity: 4, takesMs: 15 }, undefined, setting);
  const image = (n: number): string => world.group.imageId(n);
  const command = (to = image(2), group = "brokers") => deployOf(provider, group, to);
  return { world, image, command };
}
const WRITE = "Microsoft.Compute/virtualMachineScaleSets/write";
const UPGRADE = "Microsoft.Compute/virtualMachineScaleSets/manualupgrade/action";
const LIST = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read";
const changes = (world: World) => world.calls.filter(({ changed }) => changed).map(({ action }) => action);
const low = (text: string): string => text.toLowerCase();
const STATE = (image: string | null) => ({ image, count: 4, healthy: 4 });

describe("a deploy", () => {
  test.each([1, 2, 3])("takes each machine to the image, %i at once", async (unavailable) => {
    const { world, image, command } = await begin();
    const done = await rolled(command(), unavailable);
    expect(done).toMatchObject({ result: "succeeded", code: null });
    expect(done.changed).toEqual([{ what: "brokers image", from: low(image(1)), to: low(image(2)) }]);
    const { images, model, fewest } = world.group.deployed();
    expect([images.map(low), low(model), fewest]).toEqual([
      Array.from({ length: 4 }, () => low(image(2))),
      low(image(2)),
      4 - unavailable,
    ]);
    expect(changes(world)).toEqual([WRITE, ...Array.from({ length: Math.ceil(4 / unavailable) }, () => UPGRADE)]);
    expect(came(world, WRITE).map(({ body }) => body)).toEqual([
      { properties: { virtualMachineProfile: { storageProfile: { imageReference: { id: low(image(2)) } } } } },
    ]);
  });

  test("of a set that is there already changes nothing", async () => {
    const { world, image, command } = await begin();
    expect(await rolled(command(image(1)), 1)).toMatchObject({ result: "succeeded", changed: [] });
    expect(changes(world)).toEqual([]);
  });

  test("whose calls are answered and not heard upgrades no machine twice", async () => {
    const { world, command } = await begin();
    world.fault(WRITE, { kind: "drop", when: "after" });
    world.fault(UPGRADE, { kind: "drop", when: "after" }, { times: 4 });
    world.fault(LIST, { kind: "error", status: 429, code: "TooManyRequests", when: "before" }, { skip: 4 });
    expect(await rolled(command(), 1)).toMatchObject({ result: "succeeded", code: null });
    expect(changes(world)).toEqual([WRITE, UPGRADE, UPGRADE, UPGRADE, UPGRADE]);
  });

  test("that Azure turns away has changed nothing", async () => {
    const { world, image, command } = await begin();
    world.fault(WRITE, { kind: "error", status: 403, code: "AuthorizationFailed", when: "before" });
    expect(await rolled(command(), 1)).toMatchObject({ result: "failed", code: "denied", changed: [] });
    expect(world.group.deployed().model).toBe(image(1));
  });

  test.each([
    ["unwell", "are not healthy"],
    ["broken", "do not start"],
  ] as const)("on which machines that are %s goes back: they %s", async (how) => {
    const { world, image, command } = await begin();
    world.group.switches[how].add(low(image(2)));
    const done = await rolled(command(), 2);
    expect(done).toMatchObject({ result: "failed", code: "rolled-back", changed: [] });
    const { images, model, fewest } = world.group.deployed();
    expect([images.map(low), low(model), fewest]).toEqual([Array(4).fill(low(image(1))), low(image(1)), 2]);
  });

  test("that cannot go back says so", async () => {
    const { world, image, command } = await begin();
    world.group.switches.broken.add(low(image(2)));
    world.fault(WRITE, { kind: "error", status: 403, code: "AuthorizationFailed", when: "before" }, { skip: 1 });
    const done = await rolled(command(), 1);
    expect(done).toMatchObject({ result: "failed", code: "rollback-failed" });
    expect(world.group.deployed().images.map(low)).toContain(low(image(2)));
  });
});

describe("somebody else", () => {
  test("who is changing the set is not disturbed", async () => {
    const { world, image, command } = await begin();
    world.group.set.state = "Updating";
    const done = await rolled(command(), 1, { found: STATE(low(image(1))) });
    expect(done).toMatchObject({ result: "failed", code: "busy", changed: [] });
    expect(changes(world)).toEqual([]);
  });

  test("who changed the image since it was judged, or right before the write, is heard", async () => {
    const { world, image, command } = await begin();
    const done = await rolled(command(), 1, { found: STATE(low(image(3))) });
    expect(done).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
    world.at(WRITE, "before", () => world.group.point(image(3)));
    expect(await rolled(command(), 1)).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
    expect(world.group.deployed().model).toBe(image(3));
    expect(changes(world)).toEqual([]);
  });

  test("who points the set elsewhere meanwhile has the last word", async () => {
    const { world, image, command } = await begin();
    world.at(UPGRADE, "after", () => world.group.point(image(3)));
    expect(await rolled(command(), 1)).toMatchObject({ result: "failed", code: "concurrent" });
    expect(world.group.deployed().model).toBe(image(3));
    expect(came(world, UPGRADE)).toHaveLength(1);
  });
});

describe("after a crash", () => {
  // Nothing is waited out here: however slow this machine is, 20 minutes without one more machine that is well have not passed.
  const patient = { host: patientHost() };
  test("a deploy that had begun goes on with the machines that are left", async () => {
    const { world, image, command } = await begin(patient);
    const [one, stop] = [command(), new AbortController()];
    const found = await see(one);
    const own = errandOf(1, stop.signal);
    world.at(UPGRADE, "after", () => stop.abort());
    expect(await rolled(one, 1, { found, own })).toMatchObject({ result: "failed", code: "deadline" });
    const again = { ...own, signal: new AbortController().signal };
    const done = await resumed(one, found, again);
    expect(done).toMatchObject({ result: "succeeded" });
    expect(done.changed).toEqual([{ what: "brokers image", from: low(image(1)), to: low(image(2)) }]);
    expect(await recalled(one, found, again)).toMatchObject({ result: "succeeded", known_by: "state" });
    expect(changes(world)).toEqual([WRITE, UPGRADE, UPGRADE, UPGRADE, UPGRADE]);
  });

  test("halfway, it is what the machines run; resumed and not well, it goes back to what was on record", async () => {
    const { world, image, command } = await begin(patient);
    const [one, stop] = [command(), new AbortController()];
    const found = await see(one);
    const own = errandOf(1, stop.signal);
    world.at(UPGRADE, "after", () => stop.abort());
    await rolled(one, 1, { found, own });
    const again = { ...own, signal: new AbortController().signal };
    const recall = await recalled(one, found, again);
    expect(recall).toMatchObject({ result: "failed", code: "interrupted", known_by: "state" });
    expect(recall.changed).toEqual([{ what: "brokers image", from: low(image(1)), to: null }]);
    world.group.switches.broken.add(low(image(2)));
    expect(await resumed(one, found, again)).toMatchObject({ result: "failed", code: "rolled-back", changed: [] });
    expect(world.group.deployed().images.map(low)).toEqual(Array(4).fill(low(image(1))));
  });
});

describe("on its way back", () => {
  async function stopped() {
    const { world, image, command } = await begin();
    world.group.switches.broken.add(low(image(2)));
    const [one, stop] = [command(), new AbortController()];
    const found = await see(one);
    const own = errandOf(1, stop.signal);
    // The second write is the one back.
    world.at(WRITE, "after", () => world.at(WRITE, "after", () => stop.abort()));
    expect(await rolled(one, 1, { found, own })).toMatchObject({ result: "failed", code: "deadline" });
    expect(world.group.deployed().images.map(low)).toContain(low(image(2)));
    return { world, image, one, found, again: { ...own, signal: new AbortController().signal } };
  }

  test("a deploy that is stopped is left open, and resumed it goes on going back", async () => {
    const { world, image, one, found, again } = await stopped();
    expect(await resumed(one, found, again)).toMatchObject({ result: "failed", code: "rolled-back", changed: [] });
    const all = Array(4).fill(low(image(1)));
    expect(world.group.deployed().images.map(low)).toEqual(all);
    const before = changes(world);
    // And once more, when all is back: it is not begun anew.
    expect(await resumed(one, found, again)).toMatchObject({ result: "failed", code: "rolled-back" });
    expect(world.group.deployed().images.map(low)).toEqual(all);
    expect(changes(world)).toEqual(before);
  });

  test("without its note it is told by the machines that still run the image", async () => {
    const { world, image, one, found, again } = await stopped();
    const elsewhere = { ...again, id: errandOf(1).id };
    expect(await resumed(one, found, elsewhere)).toMatchObject({ result: "failed", code: "rolled-back" });
    // There and back, and not there again.
    expect(came(world, WRITE)).toHaveLength(2);
    expect(low(world.group.deployed().model)).toBe(low(image(1)));
  });
});

describe("a set that makes its machines from another image than they run", () => {
  test("is not touched: it would go back to what was not running", async () => {
    const { world, image, command } = await begin();
    world.group.point(image(3));
    const done = await rolled(command(), 1);
    expect(done).toMatchObject({ result: "failed", code: "configured-otherwise", changed: [] });
    expect(changes(world)).toEqual([]);
  });

  test("and that is the judged one goes on from there, and back to what they ran", async () => {
    const { world, image, command } = await begin();
    world.group.point(low(image(2)));
    world.group.switches.broken.add(low(image(2)));
    expect(await rolled(command(), 1)).toMatchObject({ result: "failed", code: "rolled-back", changed: [] });
    expect(low(world.group.deployed().model)).toBe(low(image(1)));
  });

  test("with machines of several images goes on as well", async () => {
    const { world, image, command } = await begin();
    const [one, stop] = [command(), new AbortController()];
    world.at(UPGRADE, "after", () => stop.abort());
    await rolled(one, 1, { own: errandOf(1, stop.signal) });
    // What Azure had taken on goes on without us.
    const upgraded = (): boolean => world.group.deployed().images.some((each) => low(each) === low(image(2)));
    for (let look = 0; look < 600 && !upgraded(); look++) await Bun.sleep(50);
    expect(await rolled(command(), 1, { found: STATE(null) })).toMatchObject({ result: "succeeded" });
    expect(world.group.deployed().images.map(low)).toEqual(Array(4).fill(low(image(2))));
  });

  test("after a crash, with machines of several images before: what they run now is said", async () => {
    const { world, image, command } = await begin();
    const one = command();
    await rolled(one, 1);
    const done = await resumed(one, STATE(null), errandOf(1));
    expect(done).toMatchObject({ result: "failed", code: "group-image" });
    expect(done.changed).toEqual([{ what: "brokers image", from: null, to: low(image(2)) }]);
    expect(world.group.deployed().images.map(low)).toEqual(Array(4).fill(low(image(2))));
  });
});

describe("what is refused when it is read", () => {
  test("an image that is not there, is not made yet, or is none", async () => {
    const { world, image, command } = await begin();
    expect(await described(command(image(9)))).toMatchObject({ artifact: "missing" });
    world.group.images.set(low(image(2)), "Creating");
    expect(await described(command())).toMatchObject({ artifact: "missing" });
    expect(await described(command("canonical:ubuntu:24:latest"))).toMatchObject({ artifact: "malformed" });
  });

  test.each(["..", ".", "..."])(
    "an image in the folder %s: its path would be another, and stop the agent",
    async (dots) => {
      const { world, image, command } = await begin();
      for (const one of [image(2).replace(GROUP, dots), image(2).replace("broker-2", dots)])
        expect(await described(command(one))).toMatchObject({ artifact: "malformed" });
      expect(world.calls.filter(({ action }) => action.includes("images"))).toEqual([]);
    },
  );

  test("a set that Azure itself would upgrade, and the agent's own", async () => {
    const { world, command } = await begin();
    for (const mode of ["Automatic", "Rolling"] as const) {
      world.group.model.upgrades = mode;
      await expect(see(command())).rejects.toMatchObject({ status: "group-upgrades" });
    }
    world.machine.state.scaleSet = "brokers";
    await expect(see(command())).rejects.toMatchObject({ status: "own-group" });
  });
});

describe("the gate", () => {
  test("lets only a known image travel, and no more machines than may be out of service", async () => {
    const { world } = await beginWorld();
    const azure = configFor(world, "/nowhere");
    const root = `/subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}/providers/Microsoft.Compute`;
    const image = `${root}/images/new`.toLowerCase();
    const about: About = {
      ...{ resource: "brokers", operations: new Set(), vault: null, count: null },
      deploy: { image, images: new Set([image]), machines: new Set(["1", "2", "3"]), most: 2 },
    };
    const set = `${root}/virtualMachineScaleSets/brokers`;
    const model = (imageReference: object, more: object = {}) => ({
      properties: { virtualMachineProfile: { storageProfile: { imageReference, ...more } } },
    });
    const named = (method: string, path: string, body?: unknown) => namedBy(azure, method, path, body, about).resource;
    expect(named("PATCH", set, model({ id: image }))).toBe("brokers");
    expect(named("POST", `${set}/manualupgrade`, { instanceIds: ["1", "3"] })).toBe("brokers");
    expect(named("GET", image)).toBe("brokers");
    const others: readonly [string, string, unknown][] = [
      ["PATCH", set, model({ id: `${image}2` })],
      ["PATCH", set, model({ id: image }, { osDisk: {} })],
      ["PATCH", set, { ...model({ id: image }), sku: { capacity: 9 } }],
      ["PATCH", set, { sku: { capacity: 9 } }],
      ["POST", `${set}/manualupgrade`, { instanceIds: ["1", "2", "3"] }],
      ["POST", `${set}/manualupgrade`, { instanceIds: ["*"] }],
      ["POST", `${set}/manualupgrade`, { instanceIds: [] }],
      ["POST", `${set}/manualupgrade`, undefined],
      ["GET", `${image}2`, undefined],
    ];
    for (const [method, path, body] of others) expect([path, body, named(method, path, body)]).not.toContain("brokers");
    // A command that scales may not do any of it.
    const scaling = { ...about, deploy: null };
    expect(namedBy(azure, "PATCH", set, model({ id: image }), scaling).resource).not.toBe("brokers");
    expect(namedBy(azure, "POST", `${set}/manualupgrade`, { instanceIds: ["1"] }, scaling).resource).not.toBe(
      "brokers",
    );
  });

  test("an image reference is one text, and comes back from it", () => {
    const gallery = `/subscriptions/${SUBSCRIPTION}/resourcegroups/g/providers/microsoft.compute/galleries/x/images/y/versions/1.2.3`;
    for (const reference of [
      { id: gallery },
      { sharedGalleryImageId: "/sharedgalleries/a/images/b/versions/1.0.0" },
      { communityGalleryImageId: "/communitygalleries/a/images/b/versions/1.0.0" },
      { publisher: "canonical", offer: "ubuntu", sku: "24", version: "24.04.1" },
    ])
      expect(referenceOf(imageText(reference) ?? "")).toEqual(reference);
    for (const none of [undefined, null, {}, { publisher: "a" }, { id: "x" }]) expect(imageText(none)).toBeNull();
  });
});

/** What a deploy makes of an Auto Scaling group, held against the world that stands for AWS. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { leastHealthy } from "../../providers/aws/refresh.ts";
import { resourceOfInput } from "../../providers/aws/resource.ts";
import { Halted } from "../../providers/provider.ts";
import { described, errandOf, recalled, resumed, rolled, see } from "../providers/deploying.ts";
import { imageCommand, withImage } from "./deploying.ts";
import type { Structure } from "./world/codec.ts";
import { type Moto, startMoto } from "./world/moto.ts";
import { startWorld, type World, type WorldOptions } from "./world/world.ts";

let moto: Moto;
beforeAll(async () => {
  moto = await startMoto();
}, 600_000);
afterAll(() => moto.stop());

const worlds: World[] = [];
async function begin(options: WorldOptions = {}) {
  const world = await startWorld(moto, { group: { min: 1, max: 9, desired: 4 }, ...options });
  worlds.push(world);
  return { world, ...(await withImage(world)) };
}
afterEach(async () => {
  for (const world of worlds.splice(0)) {
    await world.stop();
    expect(world.problems).toEqual([]);
  }
}, 60_000);

const STATE = (image: string | null) => ({ image, count: 4, healthy: 4 });
const names = (world: World): string[] => world.calls.map(({ operation }) => operation);
const count = (world: World, operation: string): number => names(world).filter((one) => one === operation).length;

describe("a deploy", () => {
  test("takes each instance to the image, with no more than the rule's number out of service", async () => {
    const { world, before, image } = await begin();
    world.scaling.launchMilliseconds = 40;
    const done = await rolled(await imageCommand(world, image), 2);
    expect(done).toMatchObject({ result: "succeeded", code: null });
    expect(done.changed).toEqual([{ what: `${world.group.name} image`, from: before, to: image }]);
    const { images, version, fewest } = await world.look.images();
    expect(images).toEqual([image, image, image, image]);
    expect(version).toBe("2");
    // How many are out at the same moment is the machine's speed; never more than the rule's number.
    expect(fewest).toBeGreaterThanOrEqual(2);
    expect(await world.look.group()).toEqual({ desired: 4, instances: 4, inService: 4 });
    expect(count(world, "CreateLaunchTemplateVersion")).toBe(1);
    expect(count(world, "StartInstanceRefresh")).toBe(1);
  });

  test("of a group that is there already changes nothing", async () => {
    const { world, before } = await begin();
    const done = await rolled(await imageCommand(world, before), 1);
    expect(done).toMatchObject({ result: "succeeded", changed: [] });
    expect(names(world).filter((name) => !/^(?:Describe|Get)/.test(name))).toEqual([]);
  });

  test("whose calls are answered and not heard makes one version and one refresh", async () => {
    const { world, image } = await begin();
    const lost = [
      world.fault("CreateLaunchTemplateVersion", { kind: "drop", when: "after" }),
      world.fault("StartInstanceRefresh", { kind: "drop", when: "after" }),
      world.fault("DescribeInstanceRefreshes", { kind: "error", code: "Throttling", when: "before" }, { skip: 2 }),
    ];
    const done = await rolled(await imageCommand(world, image), 1);
    expect(done).toMatchObject({ result: "succeeded", code: null });
    expect(lost.map(({ hits }) => hits)).toEqual([1, 1, 1]);
    expect(count(world, "StartInstanceRefresh")).toBe(1);
    const { images, version, refreshes } = await world.look.images();
    expect([version, refreshes, new Set(images)]).toEqual(["2", ["Successful"], new Set([image])]);
  });

  test("whose refresh was never begun, and nobody knows, is unknown", async () => {
    const { world, before, image } = await begin();
    world.fault("StartInstanceRefresh", { kind: "drop", when: "before" });
    const done = await rolled(await imageCommand(world, image), 1);
    expect(done).toMatchObject({ result: "unknown", code: "reset", changed: [] });
    expect((await world.look.images()).images).toEqual([before, before, before, before]);
  });

  test("that AWS turns away has changed nothing", async () => {
    const { world, before, image } = await begin();
    world.fault("StartInstanceRefresh", { kind: "error", code: "Throttling", when: "before" });
    expect(await rolled(await imageCommand(world, image), 1)).toMatchObject({ result: "failed", code: "throttled" });
    expect((await world.look.images()).images).toEqual([before, before, before, before]);
  });
});

describe("an image on which machines do not get well", () => {
  const FAILED = [
    { how: "rolls back", code: "rolled-back", refreshes: ["RollbackSuccessful"] },
    { how: "hangs", code: "rolled-back", refreshes: ["RollbackSuccessful"] },
    { how: "stays", code: "rolled-back", refreshes: ["Successful", "Failed"] },
    { how: "cannot roll back", code: "rollback-failed", refreshes: ["RollbackFailed"] },
  ] as const;
  test.each(FAILED)("and AWS $how: $code", async ({ how, code, refreshes }) => {
    const { world, before, image } = await begin();
    world.scaling.unwell.add(image);
    world.scaling.failed = how;
    const done = await rolled(await imageCommand(world, image), 1);
    expect(done).toMatchObject({ result: "failed", code });
    const now = await world.look.images();
    expect(now.refreshes).toEqual([...refreshes]);
    expect(now.fewest).toBe(3);
    if (code === "rollback-failed") expect(now.images).toContain(image);
    else expect([now.version, now.images, done.changed]).toEqual(["1", [before, before, before, before], []]);
  });
});

describe("somebody else", () => {
  test("whose refresh is running is not disturbed", async () => {
    const { world, before, image } = await begin();
    await world.others.version(image);
    world.scaling.launchMilliseconds = 600_000;
    await world.others.refresh("2");
    const done = await rolled(await imageCommand(world, image), 1, { found: STATE(before) });
    expect(done).toMatchObject({ result: "failed", code: "busy", changed: [] });
    expect(count(world, "CreateLaunchTemplateVersion")).toBe(0);
  });

  test("who changed the image since it was judged is heard", async () => {
    const { world, image } = await begin();
    const done = await rolled(await imageCommand(world, image), 1, { found: STATE("ami-0123456789abcdef0") });
    expect(done).toMatchObject({ result: "failed", code: "concurrent", changed: [] });
    expect(count(world, "StartInstanceRefresh")).toBe(0);
  });

  test("who gives the group another version meanwhile is not overwritten", async () => {
    const { world, image } = await begin();
    const command = await imageCommand(world, image);
    const found = await see(command);
    world.switches.judge = async ({ operation }) => {
      if (operation !== "DescribeAutoScalingGroups") return true;
      const { refreshes } = await world.look.images();
      if (refreshes[0] === "Successful") await world.others.relaunch("1");
      return true;
    };
    const done = await rolled(command, 4, { found });
    expect(done).toMatchObject({ result: "failed", code: "concurrent" });
    expect((await world.look.images()).version).toBe("1");
  });

  test("who cancels the refresh has the last word", async () => {
    const { world, image } = await begin();
    world.scaling.launchMilliseconds = 600_000;
    let looks = 0;
    world.switches.judge = async ({ operation }) => {
      if (operation === "DescribeInstanceRefreshes" && ++looks === 3) await world.others.cancel();
      return true;
    };
    expect(await rolled(await imageCommand(world, image), 1)).toMatchObject({ result: "failed", code: "cancelled" });
  });
});

describe("a version that somebody else made and described as the command's", () => {
  const OTHERS = [
    { what: "another image", from: "1", image: "third", more: {} },
    { what: "the judged image and another role", from: "1", image: "judged", more: { InstanceType: "t3.large" } },
    { what: "another source", from: "7", image: "judged", more: {} },
  ] as const;
  test.each(OTHERS)("with $what is not launched from", async ({ from, image: which, more }) => {
    const { world, before, image, third } = await begin();
    const command = await imageCommand(world, image);
    const own = errandOf(1);
    const described = `reeve ${own.id} from ${from}`;
    await world.others.version(which === "judged" ? image : third, { VersionDescription: described }, more);
    const found = STATE(before);
    for (const done of [await rolled(command, 1, { found, own }), await resumed(command, found, own)])
      expect(done).toMatchObject({ result: "failed", code: "foreign-version", changed: [] });
    expect(names(world).filter((name) => !/^(?:Describe|Get)/.test(name))).toEqual([]);
    // It keeps no intent from being closed.
    expect(await recalled(command, found, own)).toMatchObject({ result: "failed", code: "interrupted" });
  });
});

test("the switch off while it only watches: AWS goes on, and what came of it is said", async () => {
  const { world, image } = await begin();
  let begun = false;
  world.at("StartInstanceRefresh", "after", async () => {
    begun = true;
  });
  const beforeChange = (): void => {
    if (begun) throw new Halted("suspended");
  };
  expect(await rolled(await imageCommand(world, image), 1, { wish: { beforeChange } })).toMatchObject({
    result: "succeeded",
  });
  expect((await world.look.images()).images).toEqual([image, image, image, image]);
});

test("a group that launches another image than its instances run is not touched: it would go back to what was not running", async () => {
  const { world, image, third } = await begin();
  await world.others.version(third);
  await world.others.relaunch("2");
  const done = await rolled(await imageCommand(world, image), 1);
  expect(done).toMatchObject({ result: "failed", code: "configured-otherwise", changed: [] });
  expect(names(world).filter((name) => !/^(?:Describe|Get)/.test(name))).toEqual([]);
});

describe("after a crash", () => {
  test("a deploy that had begun goes on: no version and no refresh is made twice", async () => {
    const { world, before, image } = await begin();
    world.scaling.launchMilliseconds = 200;
    const command = await imageCommand(world, image);
    const found = await see(command);
    const stop = new AbortController();
    const own = errandOf(1, stop.signal);
    world.at("StartInstanceRefresh", "after", async () => stop.abort());
    expect(await rolled(command, 1, { found, own })).toMatchObject({ result: "failed", code: "deadline" });
    const again = { ...own, signal: new AbortController().signal };
    const done = await resumed(command, found, again);
    expect(done).toMatchObject({ result: "succeeded" });
    expect(done.changed).toEqual([{ what: `${world.group.name} image`, from: before, to: image }]);
    expect(await recalled(command, found, again)).toMatchObject({ result: "succeeded", known_by: "token" });
    expect([count(world, "CreateLaunchTemplateVersion"), count(world, "StartInstanceRefresh")]).toEqual([1, 1]);
  });

  test("between the version and the refresh, nothing has happened; resumed, the same version is used", async () => {
    const { world, image } = await begin();
    const command = await imageCommand(world, image);
    const found = await see(command);
    const own = errandOf(1);
    world.fault("StartInstanceRefresh", { kind: "error", code: "ServiceUnavailable", when: "before" });
    world.fault("DescribeInstanceRefreshes", { kind: "error", code: "AccessDenied", when: "before" }, { skip: 1 });
    expect(await rolled(command, 1, { found, own })).toMatchObject({ result: "unknown" });
    const recall = await recalled(command, found, own);
    expect(recall).toMatchObject({ result: "failed", code: "interrupted", known_by: "state", changed: [] });
    expect(await resumed(command, found, own)).toMatchObject({ result: "succeeded" });
    // The second time its token gave back the first.
    const made = world.calls.filter(({ operation }) => operation === "CreateLaunchTemplateVersion");
    expect(made.map(({ changed }) => changed)).toEqual([true, false]);
    expect((await world.look.images()).version).toBe("2");
  });
});

describe("what is refused when it is read", () => {
  test("an image that is not there, and what is no image", async () => {
    const { world } = await begin();
    const seen = async (image: string) => described(await imageCommand(world, image));
    expect(await seen("ami-0123456789abcdef0")).toMatchObject({ artifact: "missing" });
    expect(await seen("sha256:abc")).toMatchObject({ artifact: "malformed" });
  });

  test("a group that launches from $Latest, and the agent's own", async () => {
    const { world, image } = await begin();
    await world.more.group(`floating-${world.group.name}`, { min: 0, max: 2, desired: 0 });
    const floating = await imageCommand(world, image, `floating-${world.group.name}`);
    await expect(see(floating)).rejects.toMatchObject({ status: "group-floating" });
    const own = await startWorld(moto, { own: true });
    worlds.push(own);
    await expect(see(await imageCommand(own, image))).rejects.toMatchObject({ status: "own-group" });
  });
});

describe("others who launch from the same launch template", () => {
  const EMPTY = { min: 0, max: 2, desired: 0 };
  const of = (world: World, Version?: string) => ({ LaunchTemplateId: world.template, ...(Version && { Version }) });
  const mixed = (base: Structure, ...overrides: Structure[]) => ({
    MixedInstancesPolicy: {
      LaunchTemplate: {
        LaunchTemplateSpecification: base,
        Overrides: overrides.map((LaunchTemplateSpecification) => ({
          InstanceType: "t3.small",
          LaunchTemplateSpecification,
        })),
      },
    },
  });
  const changes = (world: World): string[] => names(world).filter((name) => !/^(?:Describe|Get)/.test(name));

  const SHARED: readonly (readonly [string, (world: World, other: string) => Structure])[] = [
    ["its $Latest", (world) => ({ LaunchTemplate: of(world, "$Latest") })],
    ["its $Latest, by a mixed instances policy", (world) => mixed(of(world, "$Latest"))],
    [
      "its $Latest, for one type of a mixed instances policy",
      (world, other) => mixed({ LaunchTemplateId: other, Version: "1" }, of(world, "$Latest")),
    ],
  ];
  for (const [what, launches] of SHARED)
    test(`another group launches ${what}: refused when it is read, and before a version is made`, async () => {
      const { world, before, image } = await begin();
      const command = await imageCommand(world, image);
      const more = launches(world, await world.more.template());
      await world.more.group(`other-${world.group.name}`, EMPTY, more);
      await expect(see(command)).rejects.toMatchObject({ status: "template-shared" });
      const own = errandOf(1);
      for (const done of [
        await rolled(command, 1, { found: STATE(before), own }),
        await resumed(command, STATE(before), own),
      ])
        expect(done).toMatchObject({ result: "failed", code: "template-shared", changed: [] });
      expect(changes(world)).toEqual([]);
      expect((await world.look.images()).images).toEqual([before, before, before, before]);
    });

  test("groups that launch its $Default, a version's number, or another template's $Latest are in nobody's way", async () => {
    const { world, image } = await begin();
    const other = await world.more.template();
    await world.more.group(`default-${world.group.name}`, EMPTY, { LaunchTemplate: of(world, "$Default") });
    await world.more.group(`numbered-${world.group.name}`, EMPTY, { LaunchTemplate: of(world, "1") });
    await world.more.group(`mixed-${world.group.name}`, EMPTY, mixed(of(world, "1"), of(world)));
    const elsewhere = { LaunchTemplate: { LaunchTemplateId: other, Version: "$Latest" } };
    await world.more.group(`elsewhere-${world.group.name}`, EMPTY, elsewhere);
    expect(await rolled(await imageCommand(world, image), 2)).toMatchObject({ result: "succeeded" });
    // What made the new version has not moved the default: what launches that launches what it did.
    const versions = await world.admin.call("ec2", "DescribeLaunchTemplateVersions", {
      LaunchTemplateId: world.template,
      Versions: ["$Default"],
    });
    expect(versions).toMatchObject({ LaunchTemplateVersions: [{ VersionNumber: 1 }] });
  });

  test("it is found on whichever page it stands", async () => {
    const { world, before, image } = await begin();
    for (let n = 0; n < 52; n++)
      await world.more.group(`z${String(n).padStart(2, "0")}-${world.group.name}`, EMPTY, {
        LaunchTemplate: of(world, n === 51 ? "$Latest" : "1"),
      });
    const done = await rolled(await imageCommand(world, image), 1, { found: STATE(before) });
    expect(done).toMatchObject({ result: "failed", code: "template-shared" });
    expect(changes(world)).toEqual([]);
  });

  test("when it cannot be read who does, no version is made", async () => {
    const { world, before, image } = await begin();
    world.switches.judge = ({ operation, params }) =>
      operation !== "DescribeAutoScalingGroups" || params["AutoScalingGroupNames"] !== undefined;
    const done = await rolled(await imageCommand(world, image), 1, { found: STATE(before) });
    expect(done).toMatchObject({ result: "failed", code: "denied" });
    expect(changes(world)).toEqual([]);
  });

  test.each(["1", "$Default", "$Latest"])(
    "the agent's own group does, at %s: refused, whatever the version",
    async (version) => {
      const { world, before, image } = await begin({ own: { template: "same", version } });
      const command = await imageCommand(world, image);
      await expect(see(command)).rejects.toMatchObject({ status: "own-template" });
      const done = await rolled(command, 1, { found: STATE(before) });
      expect(done).toMatchObject({ result: "failed", code: "own-template", changed: [] });
      expect(changes(world)).toEqual([]);
    },
  );

  test("the agent's own group has another template: it is none of its business", async () => {
    const { world, image } = await begin({ own: { template: "another", version: "$Latest" } });
    expect(await rolled(await imageCommand(world, image), 2)).toMatchObject({ result: "succeeded" });
  });
});

describe("the gate", () => {
  const about = {
    resource: "brokers",
    changeIds: new Set<string>(),
    known: new Set(["lt-0a", "lt-0a:1", "lt-0a:2", "lt-0a alone"]),
    command: "C",
    image: "ami-1",
    count: null,
  };
  const VERSION = {
    LaunchTemplateId: "lt-0a",
    SourceVersion: "1",
    LaunchTemplateData: { ImageId: "ami-1" },
    VersionDescription: "x",
    ClientToken: "C",
  };
  const REFRESH = {
    AutoScalingGroupName: "brokers",
    DesiredConfiguration: { LaunchTemplate: { LaunchTemplateId: "lt-0a", Version: "2" } },
  };
  const WIDER: readonly (readonly [string, object])[] = [
    ["ec2:CreateLaunchTemplateVersion", { ...VERSION, LaunchTemplateId: "lt-0b" }],
    ["ec2:CreateLaunchTemplateVersion", { ...VERSION, SourceVersion: "3" }],
    ["ec2:CreateLaunchTemplateVersion", { ...VERSION, ClientToken: "D" }],
    ["ec2:CreateLaunchTemplateVersion", { ...VERSION, LaunchTemplateData: { ImageId: "ami-2" } }],
    ["ec2:CreateLaunchTemplateVersion", { ...VERSION, LaunchTemplateData: { ImageId: "ami-1", UserData: "" } }],
    ["ec2:CreateLaunchTemplateVersion", { ...VERSION, LaunchTemplateName: "other" }],
    ["autoscaling:StartInstanceRefresh", { ...REFRESH, DesiredConfiguration: { MixedInstancesPolicy: {} } }],
    [
      "autoscaling:StartInstanceRefresh",
      { ...REFRESH, DesiredConfiguration: { LaunchTemplate: { LaunchTemplateId: "lt-0a", Version: "3" } } },
    ],
    ["autoscaling:StartInstanceRefresh", { AutoScalingGroupName: "brokers" }],
    ["ec2:DescribeLaunchTemplateVersions", { LaunchTemplateId: "lt-0b" }],
    ["ec2:DescribeInstances", { InstanceIds: ["i-0c"] }],
    ["ec2:DescribeInstances", {}],
    ["ec2:DescribeImages", { ImageIds: ["ami-2"] }],
  ];
  test("lets a version differ in its image alone, and a refresh go to a version of the group's own template", () => {
    expect(resourceOfInput("ec2:CreateLaunchTemplateVersion", VERSION, about)).toBe("brokers");
    expect(resourceOfInput("autoscaling:StartInstanceRefresh", REFRESH, about)).toBe("brokers");
    for (const [operation, input] of WIDER)
      expect([input, resourceOfInput(operation, { ...input }, about)]).not.toEqual([input, "brokers"]);
  });

  test("lets no version be made of a template before it was seen that nobody shares it", () => {
    const unseen = { ...about, known: new Set(["lt-0a", "lt-0a:1", "lt-0a:2"]) };
    expect(resourceOfInput("ec2:CreateLaunchTemplateVersion", VERSION, unseen)).not.toBe("brokers");
  });

  test("knows the read of all groups by a name that no group has, and nothing between one and all", () => {
    const named = (input: object) => resourceOfInput("autoscaling:DescribeAutoScalingGroups", { ...input }, about);
    expect([named({}), named({ NextToken: "2" })]).toEqual(["*", "*"]);
    expect(named({ AutoScalingGroupNames: ["brokers"] })).toBe("brokers");
    for (const input of [{ AutoScalingGroupNames: [] }, { AutoScalingGroupNames: ["a", "b"] }, { Filters: [] }])
      expect([input, named(input)]).toEqual([input, "(not one)"]);
  });

  test("the share that must stay in service leaves no more than the rule's number out of it", () => {
    for (let size = 1; size <= 300; size++)
      for (const out of [1, 2, 3, 7, 50, 299, 1000]) {
        const share = leastHealthy(size, out);
        const stay = Math.max(0, size - out);
        expect(share >= 0 && share <= 100 && Math.ceil((share * size) / 100) >= stay).toBe(true);
        if (size <= 100) expect(Math.ceil((share * size) / 100)).toBe(stay);
      }
  });
});

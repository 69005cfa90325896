import { expect, test } from "bun:test";
import { type GateOperation, makeGate } from "../../providers/gate.ts";
import {
  CallFailed,
  type CallPlace,
  GateBreach,
  Halted,
  type Leave,
  type OperationsTable,
} from "../../providers/provider.ts";

const table: OperationsTable = [
  { operation: "x.read", kind: "read", method: "GET" },
  { operation: "x.change", kind: "change", method: "POST" },
];
const get: CallPlace = { host: "api.example", region: "one", method: "GET" };
const post: CallPlace = { host: "api.example", region: "one", method: "POST" };

function world(phase: "read" | "all" = "all", beforeChange: () => void = () => undefined) {
  const recorded: GateOperation[] = [];
  let left = 0;
  const gate = makeGate({
    table,
    places: [get, post],
    resource: "r",
    phase,
    beforeChange,
    now: () => 5,
    record: (one) => recorded.push(one),
  });
  const call = (operation: string, resource: string, place: CallPlace | null) =>
    gate.call(operation, resource, async (leave) => {
      if (place !== null) leave(place, "writing");
      left++;
      return { value: "value", request: "req-1" };
    });
  return { gate, recorded, call, left: () => left };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => null,
    (caught: unknown) => caught,
  );
  if (!(error instanceof GateBreach)) throw new Error(`no breach: ${String(error)}`);
  return error.code;
}

test("a permitted call passes, and is recorded with its request id, status, duration and whether it changes", async () => {
  const { call, recorded } = world();
  expect(await call("x.read", "r", get)).toBe("value");
  expect(await call("x.change", "r", post)).toBe("value");
  const common = { resource: "r", request: "req-1", status: "ok", milliseconds: 0 };
  expect(recorded).toEqual([
    { ...common, operation: "x.read", changes: false },
    { ...common, operation: "x.change", changes: true },
  ]);
});

test.each([
  ["an operation that is not in the table", "x.other", "r", post, "gate.operation"],
  ["another resource", "x.change", "s", post, "gate.resource"],
  ["a resource that only begins like it", "x.change", "r/s", post, "gate.resource"],
  ["another host", "x.change", "r", { ...post, host: "api.example.evil" }, "gate.place"],
  ["another region", "x.change", "r", { ...post, region: "two" }, "gate.place"],
  ["another method, of another row", "x.read", "r", post, "gate.place"],
] as const)("%s is a breach, and no byte leaves", async (_, operation, resource, place, code) => {
  const { gate, call, left, recorded } = world();
  expect(await codeOf(call(operation, resource, place))).toBe(code);
  expect(left()).toBe(0);
  expect(recorded).toEqual([]);
  expect(gate.breach()).toMatchObject({ code, operation, resource });
});

test("a change while only reading is permitted is a breach", async () => {
  const { call, left } = world("read");
  expect(await call("x.read", "r", get)).toBe("value");
  expect(await codeOf(call("x.change", "r", post))).toBe("gate.operation");
  expect(left()).toBe(1);
});

test("a call that returned without saying where it went is a breach", async () => {
  expect(await codeOf(world().call("x.read", "r", null))).toBe("gate.place");
});

test("a breach sticks, also when the provider caught it", async () => {
  const { gate, call, left } = world();
  const value = gate.call("x.read", "r", async (leave) => {
    leave(get, "writing");
    try {
      leave({ ...get, host: "elsewhere" }, "writing");
    } catch (error) {
      if (!(error instanceof GateBreach)) throw error;
    }
    return { value: 1, request: null };
  });
  expect(await codeOf(value)).toBe("gate.place");
  expect(await codeOf(call("x.read", "r", get))).toBe("gate.place");
  expect(left()).toBe(0);
});

test("leave kept beyond its call lets nothing out", async () => {
  const { gate } = world();
  let kept: Leave | null = null;
  await gate.call("x.read", "r", async (leave) => {
    kept = leave;
    leave(get, "writing");
    return { value: 1, request: null };
  });
  expect(() => kept?.(get, "writing")).toThrow(GateBreach);
  expect(gate.breach()?.code).toBe("gate.place");
});

test("the owner's switch is looked at before each change leaves, and before no read", async () => {
  let asked = 0;
  const { call, left, recorded, gate } = world("all", () => {
    asked++;
    if (asked === 2) throw new Halted("suspended");
  });
  await call("x.read", "r", get);
  await call("x.change", "r", post);
  await expect(call("x.change", "r", post)).rejects.toBeInstanceOf(Halted);
  expect([asked, left(), recorded.length]).toEqual([2, 2, 2]);
  expect(gate.breach()).toBeNull();
});

test("a call that looked ahead and was stopped before its bytes left is not recorded, whatever stopped it", async () => {
  let asked = 0;
  const { gate, recorded } = world("all", () => {
    asked++;
    if (asked === 2) throw new Halted("suspended");
  });
  const sent = gate.call("x.change", "r", async (leave) => {
    leave(post, "later");
    leave(post, "writing");
    return { value: 1, request: null };
  });
  await expect(sent).rejects.toBeInstanceOf(Halted);
  const unsigned = gate.call("x.change", "r", async (leave) => {
    leave(post, "later");
    throw new Error("it cannot be signed");
  });
  await expect(unsigned).rejects.toThrow("signed");
  expect([asked, recorded]).toEqual([3, []]);
});

test("a call whose bytes left is recorded when a second part of it is stopped", async () => {
  let asked = 0;
  const { gate, recorded } = world("all", () => {
    asked++;
    if (asked === 2) throw new Halted("suspended");
  });
  const sent = gate.call("x.change", "r", async (leave) => {
    leave(post, "writing");
    leave(post, "writing");
    return { value: 1, request: null };
  });
  await expect(sent).rejects.toBeInstanceOf(Halted);
  expect(recorded).toMatchObject([{ operation: "x.change", status: "suspended", request: null }]);
});

test.each(["later", "connecting"] as const)(
  "%s is no leaving: a call that returned after it alone is a breach, one that ended there was not made",
  async (moment) => {
    const { gate } = world();
    const looked = gate.call("x.read", "r", async (leave) => {
      leave(get, moment);
      return { value: 1, request: null };
    });
    expect(await codeOf(looked)).toBe("gate.place");
    const { gate: other, recorded } = world();
    const ended = other.call("x.change", "r", async (leave) => {
      leave(post, moment);
      throw new CallFailed("connection-refused", "", "none");
    });
    await expect(ended).rejects.toThrow("connection-refused");
    expect(recorded).toEqual([]);
  },
);

test("the switch and the place are looked at anew at each moment of a change", async () => {
  const moments = ["later", "connecting", "writing"] as const;
  for (const [at, moment] of moments.entries()) {
    let asked = 0;
    const { gate, recorded } = world("all", () => {
      if (asked++ === at) throw new Halted("suspended");
    });
    const stopped = gate.call("x.change", "r", async (leave) => {
      for (const one of moments) leave(post, one);
      return { value: 1, request: null };
    });
    await expect(stopped).rejects.toBeInstanceOf(Halted);
    expect([asked, recorded]).toEqual([at + 1, []]);
    const elsewhere = world().gate.call("x.change", "r", async (leave) => {
      for (const one of moments) leave(one === moment ? { ...post, host: "elsewhere" } : post, one);
      return { value: 1, request: null };
    });
    expect(await codeOf(elsewhere)).toBe("gate.place");
  }
});

test("a failed call is recorded with its status, never its words", async () => {
  const { gate, recorded } = world();
  const failing = gate.call("x.change", "r", async (leave) => {
    leave(post, "writing");
    throw new CallFailed("Throttled", "their own words", "none", "req-9");
  });
  await expect(failing).rejects.toThrow("Throttled");
  expect(recorded).toMatchObject([{ status: "Throttled", request: "req-9" }]);
  expect(JSON.stringify(recorded)).not.toContain("own words");
});

test("a breach that the provider turned into a failure of another kind is a breach still", async () => {
  const { gate } = world();
  const hidden = gate.call("x.read", "r", async (leave) => {
    try {
      leave({ ...get, region: "elsewhere" }, "writing");
    } catch {
      throw new CallFailed("Throttled", "", "none");
    }
    return { value: 1, request: null };
  });
  expect(await codeOf(hidden)).toBe("gate.place");
});

/**
 * `bun test/boot/measure.ts ROUNDS`: boots a machine with rendered user-data and prints, as one line of JSON, the milliseconds between the unit's start
 * at the end of the installing script and the log's entry that says who enrolled: at the boot, and then ROUNDS - 1 times anew with another token.
 */
import { until } from "./ran.ts";
import { whyNot } from "./stage.ts";
import { makeWorld, type World } from "./world.ts";

const STATE = "/var/lib/reeve";
/** The same steps as at the end of the installing script, with a new token, and no memory of the last one. */
const AGAIN = `systemctl stop reeve.service
rm -rf ${STATE}/*
install -o reeve -g reeve -m 0600 /dev/stdin ${STATE}/join-token
date +%s.%N
systemctl start --no-block reeve.service
`;

type Inside = (...argv: readonly string[]) => Promise<{ stdout: string }>;

/** When the log of this enrolment began, in milliseconds since 1970. */
async function enrolled(inside: Inside): Promise<number> {
  return until("the log has its first entry", async () => {
    const line = (await inside("reeve", "audit", "show", "--json")).stdout.split("\n")[0] ?? "";
    return line === "" ? null : Date.parse((JSON.parse(line) as { time: string }).time);
  });
}

async function measure(world: World, rounds: number): Promise<number[]> {
  await world.startControl();
  const machine = world.machine(await world.userData());
  try {
    const { status, output } = await machine.boot();
    const began = /^reeve: starting at (\d+\.\d+)$/m.exec(output)?.[1];
    if (status !== "done" || began === undefined) throw new Error(`the machine did not join: ${output}`);
    const taken = [(await enrolled(machine.inside)) - Number(began) * 1000];
    for (let round = 1; round < rounds; round++) {
      const token = await world.token();
      const again = await machine.inside("sh", "-c", `printf %s "$0" | { ${AGAIN} }`, token);
      taken.push((await enrolled(machine.inside)) - Number(again.stdout.trim()) * 1000);
    }
    return taken;
  } finally {
    await machine.end();
  }
}

const why = await whyNot();
if (why !== null) {
  console.log(JSON.stringify({ why }));
} else {
  const world = await makeWorld();
  try {
    console.log(JSON.stringify({ enrolled_ms: await measure(world, Number(process.argv[2] ?? 1)) }));
  } finally {
    await world.end();
  }
}

import { type Effort, type Figure, median } from "./figure.ts";
import { CLUSTER } from "./log.ts";
import { startPlane } from "./plane.ts";

const TARGET_FIRST_POLL_MS = 150;
const TARGET_IDLE_MB = 70;

/** The compiled agent beside a compiled control plane on this machine: start to first poll when enrolled, and idle memory. */
export async function agentFigures({ quick }: Effort, scratch: string): Promise<Figure[]> {
  const plane = await startPlane(scratch);
  try {
    const agent = plane.customer(CLUSTER, "{ cloud: local }", "provider: local");
    await agent.start();
    await agent.stop();
    const starts: number[] = [];
    for (let round = 0; round < (quick ? 3 : 9); round++) {
      starts.push(await agent.start());
      await agent.stop();
    }
    await agent.start();
    const seconds = quick ? 5 : 60;
    await Bun.sleep(seconds * 1000);
    const megabytes = agent.residentMegabytes();
    const [poll, spread] = [
      median(starts),
      `${Math.min(...starts).toFixed(0)} to ${Math.max(...starts).toFixed(0)} ms`,
    ];
    return [
      {
        what: "start to first poll, enrolled",
        ours: `${poll.toFixed(0)} ms`,
        beside: `${starts.length} starts: ${spread}`,
        ratio: "",
        target: `under ${TARGET_FIRST_POLL_MS} ms`,
        reached: poll < TARGET_FIRST_POLL_MS,
      },
      {
        what: `resident memory after ${seconds} s idle`,
        ours: `${megabytes.toFixed(0)} MB`,
        beside: "",
        ratio: "",
        target: `under ${TARGET_IDLE_MB} MB`,
        reached: megabytes < TARGET_IDLE_MB,
      },
    ];
  } finally {
    await plane.end();
  }
}

/**
 * `bun run screenshot`: a vendor and an agent work on this machine, `reeve audit ui` shows the agent's log, and a real browser's picture of it becomes
 * docs/audit-ui.png. Times and ids are another in each run.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { played } from "./played.ts";
import { browser, look, open, serve } from "./stage.ts";

const PICTURE = join(ROOT, "docs/audit-ui.png");
const SIZE = { width: 1100, height: 1000 };

const w = await played();
const served = await serve(["--config", w.config, "--ca", w.root]);
const own = await browser();
try {
  const seen = await look(own, { viewport: SIZE, colorScheme: "light" });
  await open(seen, served);
  const refused = seen.page.locator(".row[data-state=succeeded]").first();
  await refused.locator("summary").click();
  await refused.locator(".mark[data-checked=yes]").nth(1).waitFor();
  await seen.page.screenshot({ path: PICTURE });
  console.log(`wrote ${PICTURE}: ${Math.round(statSync(PICTURE).size / 1024)} KB`);
} finally {
  await own.close();
  await served.stop();
  await w.end();
}

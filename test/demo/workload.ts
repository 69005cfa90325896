/**
 * The workload that the demo scales: one process of a group, which answers over HTTP. It knows nothing of reeve.
 * Arguments: folder, first port, number. Ends by itself when its folder is gone, so that nothing is left behind whatever happens.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";

const MAX_LIFE_SECONDS = 300;
const [folder, first, number] = process.argv.slice(2);
if (folder === undefined || first === undefined || number === undefined) process.exit(2);

mkdirSync(`${folder}/pids`, { recursive: true });
writeFileSync(`${folder}/pids/${process.pid}`, "");
createServer((_, answer) => answer.end(`broker ${number} answers\n`)).listen(
  Number(first) + Number(number),
  "127.0.0.1",
);
process.on("SIGTERM", () => process.exit(0));
setInterval(() => {
  if (!existsSync(`${folder}/pids/${process.pid}`)) process.exit(0);
}, 500);
setTimeout(() => process.exit(0), MAX_LIFE_SECONDS * 1000);
